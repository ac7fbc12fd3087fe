package main

import (
	"context"
	"errors"

	"github.com/qrgate/qrgate/hw/panel"
)

// releaseRelay takes the current from the relay of a program that is gone. Kernels differ in
// whether a line that nobody holds keeps what it was. What is soldered stands in the
// machine's own file: nothing else on the disk needs to be readable, nor the rest of that
// file be right.
func releaseRelay(_ context.Context, env environment) error {
	c, err := readOwn(env.path)
	if !c.GPIO {
		return err
	}
	return errors.Join(err, panel.Release(c.Panel))
}
