package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/qrgate/qrgate/device/simulate"
)

// simulateFlags are the flags of simulate.
type simulateFlags struct {
	o        simulate.Options
	scenario string
	cards    string
	length   time.Duration
	verbose  bool
}

func (s *simulateFlags) register(fs *flag.FlagSet) {
	fs.IntVar(&s.o.Kiosks, "kiosks", 10, "`how many` kiosks")
	fs.StringVar(&s.o.Server, "server", "", "broker's `address`, as tls://qr.example.vn:8883")
	fs.StringVar(&s.o.Name, "name", "", "in the server's certificate; default the address's host")
	fs.StringVar(&s.o.Identities, "identities", "", "`directory` that qrgate-server kiosk add sim- -count N -out wrote")
	fs.StringVar(&s.o.State, "state", "", "`directory` for outboxes; default one that is deleted at the end")
	fs.StringVar(&s.scenario, "scenario", string(simulate.Normal), "what befalls them: normal, outage, sick-scanner, wrong-clock, revoked-card")
	fs.DurationVar(&s.o.Day, "day", 10*time.Minute, "`length` of a day in the scenario")
	fs.Float64Var(&s.o.Rate, "rate", 6, "visitors a minute at each kiosk")
	fs.Uint64Var(&s.o.Seed, "seed", 1, "the same visitors for the same `number`")
	fs.StringVar(&s.cards, "cards", "", "`file` with texts of cards, as qrgate-server card prints them; default identity cards of nobody")
	fs.BoolVar(&s.o.Light, "light", false, "connections and beats only")
	fs.DurationVar(&s.o.Spread, "spread", 0, "`time` over which kiosks are switched on; default a second for each hundred")
	fs.DurationVar(&s.o.Every, "every", 5*time.Second, "`time` between two lines of output")
	fs.DurationVar(&s.length, "for", 0, "`how long`; default until it is ended")
	fs.BoolVar(&s.verbose, "v", false, "log what kiosks log")
}

// runSimulation runs many kiosks that are not there.
func runSimulation(ctx context.Context, env environment) error {
	s := env.simulate
	o := s.o
	if len(env.args) != 0 || o.Server == "" || o.Identities == "" {
		return fmt.Errorf("%w: simulate -server tls://HOST:PORT -identities DIR", errUsage)
	}
	var err error
	if o.Scenario, err = simulate.ParseScenario(s.scenario); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	if s.cards != "" {
		b, err := os.ReadFile(s.cards)
		if err != nil {
			return err
		}
		o.Cards = strings.Fields(string(b))
	}
	if o.State == "" {
		if o.State, err = os.MkdirTemp("", "qrgate-simulate-"); err != nil {
			return err
		}
		defer os.RemoveAll(o.State)
	}
	if s.length > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.length)
		defer cancel()
	}
	if s.verbose {
		o.Log = newLog(env.stderr, slog.LevelInfo)
	}
	o.Out, o.Floor = env.out, buildTime()
	return simulate.Run(ctx, o)
}
