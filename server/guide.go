package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/qrgate/qrgate/server/print"
	"github.com/qrgate/qrgate/server/qrgate"
)

// guideFlags reads the flags of the command that writes the printed guide.
func guideFlags(f *flag.FlagSet) func(context.Context, environment) error {
	out := f.String("o", "", "write the PDF to this `file`; - is standard output")
	return func(_ context.Context, env environment) error {
		m := print.Manual{Release: version, Portal: env.config.PortalURL, HelpLine: env.config.HelpLine, Printed: time.Now().In(qrgate.Zone)}
		if !print.Reachable(m.Portal) {
			env.log.Warn("the guide has a line to write the portal's address on: portal.url names none that others reach", "portal", m.Portal)
		}
		switch *out {
		case "":
			return fmt.Errorf("%w: guide -o FILE", errUsage)
		case "-":
			return print.Guide(env.out, m)
		}
		file, err := os.Create(*out)
		if err != nil {
			return err
		}
		return errors.Join(print.Guide(io.Writer(file), m), file.Close())
	}
}
