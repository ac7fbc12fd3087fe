package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
)

// ledger prints of every epoch whether it is whole.
func ledger(ctx context.Context, env environment) error {
	if len(env.args) != 0 {
		return fmt.Errorf("%w: ledger takes no arguments", errUsage)
	}
	return withStore(ctx, env.config, func(s *store.Store) error {
		all, err := s.Ledgers(ctx, time.Now())
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(env.out, 0, 4, 2, ' ', 0)
		fmt.Fprintln(w, "KIOSK\tEPOCH\tSTATE\tHELD\tLAST RECEIVED")
		for _, l := range all {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", l.Kiosk, l.Epoch, epochState(l), held(l), l.Received.In(qrgate.Zone).Format(time.DateTime))
		}
		return w.Flush()
	})
}

func epochState(l store.EpochLedger) string {
	state := "open"
	if l.Ended {
		state = "ended"
	}
	if l.Forked {
		state += ", forked"
	}
	if l.Lost > 0 {
		state += fmt.Sprintf(", %d lost before it", l.Lost)
	}
	return state
}

func held(l store.EpochLedger) string {
	if len(l.Missing) == 0 {
		return fmt.Sprintf("1…%d complete", l.Newest)
	}
	missing := make([]string, len(l.Missing))
	for i, r := range l.Missing {
		missing[i] = fmt.Sprintf("%d…%d", r.From, r.To)
	}
	return fmt.Sprintf("1…%d without %s", l.Newest, strings.Join(missing, ", "))
}

// checkins prints what the server holds of a kiosk, one line of JSON each. It
// names nobody: a subject is the same for the same person on the same day, and
// only the vault knows whose it is.
func checkins(ctx context.Context, env environment) error {
	if len(env.args) != 1 {
		return fmt.Errorf("%w: checkins KIOSK", errUsage)
	}
	type line struct {
		Epoch     string `json:"epoch"`
		Seq       uint64 `json:"seq"`
		Day       string `json:"day"`
		Subject   string `json:"subject,omitempty"`
		Pass      string `json:"pass"`
		Level     string `json:"level,omitempty"`
		Place     uint32 `json:"place,omitempty"` // number, if it is registered
		Verdict   string `json:"verdict"`
		Reason    string `json:"reason,omitempty"`
		Direction string `json:"direction"`
		Gate      string `json:"gate"`
		Said      string `json:"said"`
		Earliest  string `json:"earliest"`
		Latest    string `json:"latest"`
		Received  string `json:"received"`
	}
	stamp := func(ms int64) string {
		return time.UnixMilli(ms).In(qrgate.Zone).Format("2006-01-02T15:04:05.000Z07:00")
	}
	out := json.NewEncoder(env.out)
	return withStore(ctx, env.config, func(s *store.Store) error {
		if !store.IsPhones(env.args[0]) {
			if _, err := s.Kiosk(ctx, env.args[0]); err != nil {
				return err
			}
		}
		return s.Checkins(ctx, env.args[0], func(c qrgate.Checkin) error {
			l := line{
				Epoch: c.Epoch.String(), Seq: c.Seq, Day: c.Day.String(), Pass: c.Pass.String(), Verdict: c.Verdict.String(),
				Direction: c.Direction.String(), Place: c.PlaceNo, Gate: c.Gate,
				Said: stamp(c.Said), Earliest: stamp(c.Earliest), Latest: stamp(c.Latest), Received: stamp(c.Received),
			}
			if c.Subject != (qrgate.Subject{}) {
				l.Subject = hex.EncodeToString(c.Subject[:])
			}
			if c.Level != qrgate.NoLevel {
				l.Level = c.Level.String()
			}
			if c.Reason != 0 {
				l.Reason = c.Reason.String()
			}
			return out.Encode(l)
		})
	})
}

// deadLetters prints what was received and could not be used.
func deadLetters(ctx context.Context, env environment) error {
	if len(env.args) != 0 {
		return fmt.Errorf("%w: dead-letters takes no arguments", errUsage)
	}
	return withStore(ctx, env.config, func(s *store.Store) error {
		all, err := s.DeadLetters(ctx)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(env.out, 0, 4, 2, ' ', 0)
		fmt.Fprintln(w, "KIOSK\tEPOCH\tNUMBER\tREASON\tBYTES")
		for _, d := range all {
			fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%d\n", d.Kiosk, d.Epoch, d.Seq, d.Reason, len(d.Record))
		}
		return w.Flush()
	})
}
