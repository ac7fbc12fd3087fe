package stage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// A Part is one process of a server that is several. It has a configuration of its own.
type Part struct {
	Portal string // host:port, if it is one
	config string
	stage  *Stage
}

// NewPart writes the configuration of a part. client is its name at the broker, which is
// embedded in the part that is of the role ingest; extra is appended.
func (s *Stage) NewPart(client, extra string, ingest bool) (*Part, error) {
	portal, err := FreeAddress()
	if err != nil {
		return nil, err
	}
	c := *s.with(extra)
	if !ingest {
		c.options.Broker = "tls://" + s.Broker
	}
	part := &Part{Portal: portal, config: filepath.Join(s.Dir, client+"-part.toml"), stage: s}
	return part, c.writeConfig(part.config, client, portal, "")
}

// with returns the stage's settings, to which extra is appended.
func (s *Stage) with(extra string) *Stage {
	return &Stage{Dir: s.Dir, Broker: s.Broker, options: Options{Store: s.options.Store, Broker: s.options.Broker, Extra: s.options.Extra + extra}}
}

// Start starts the part with its roles. One that is a portal serves when Start returns.
func (p *Part) Start(ctx context.Context, roles string, portal bool) (*Process, error) {
	run, err := p.stage.start("server "+roles, p.stage.programs.Server, "serve", "-role", roles, "-config", p.config)
	if err != nil || !portal {
		return run, err
	}
	return run, p.stage.await(ctx, run, "http://"+p.Portal+"/readyz")
}

// Command runs one of the server's commands with the part's configuration to its end and
// returns what it printed.
func (p *Part) Command(ctx context.Context, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, p.stage.programs.Server, append(args, "-config", p.config)...).Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return "", fmt.Errorf("qrgate-server %s: %w: %s", args[0], err, exit.Stderr)
	}
	return string(out), err
}

// StartDesk starts the program at a clerk's desk. source names its scanners as in a
// kiosk's configuration; what it says goes to said.
func (s *Stage) StartDesk(source string, said io.Writer, code ...string) (*Process, error) {
	config := filepath.Join(s.Dir, "desk.toml")
	if err := os.WriteFile(config, []byte(source), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.Command(s.programs.Kiosk, append([]string{"desk", "-config", config}, code...)...)
	cmd.Stdout = said
	return s.run("desk", cmd)
}
