package kiosk_test

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/qrgate/qrgate/device/kiosk"
	"github.com/qrgate/qrgate/hw/scan"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

// A door that is configured again and again under a stream of visitors loses nobody,
// and each record is of one configuration as a whole.
func TestReconfiguredBetweenTwoScans(t *testing.T) {
	s := newSite(t, 1<<30)
	const scans = 150
	at := time.Now()
	for n := range scans {
		s.src.scans = append(s.src.scans, scan.Scan{Text: s.sign(t, pass.Card, uint32(n+1), today, today), At: at.Add(time.Duration(n) * time.Minute)})
	}
	k, err := kiosk.New(s.door, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	in, out := s.door.Config, s.door.Config
	out.Gate, out.Direction, out.Lane = "B2", wire.Out, 7
	done := make(chan struct{})
	var tasks sync.WaitGroup
	tasks.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-done:
				return
			default:
			}
			if err := k.Reconfigure([]wire.KioskConfig{out, in}[n%2]); err != nil {
				t.Error(err)
			}
		}
	})
	if err := k.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "EOF") {
		t.Errorf("Run = %v, want the end of the scans", err)
	}
	close(done)
	tasks.Wait()
	headers, _ := s.records(t)
	if len(headers) != scans {
		t.Fatalf("%d records of %d scans", len(headers), scans)
	}
	of := map[string]int{}
	for _, h := range headers {
		of[h.Gate]++
		if h.Verdict != wire.Admitted || (h.Gate == "B2") != (h.Direction == wire.Out) || (h.Gate == "B2") != (h.Lane == 7) {
			t.Fatalf("record %d is of two configurations: gate %s, lane %d, direction %s", h.Seq, h.Gate, h.Lane, h.Direction)
		}
	}
	if of["A1"] == 0 || of["B2"] == 0 {
		t.Logf("only one configuration met a scan: %v", of)
	}
}

// steps are scans with something done before each.
type steps struct {
	scan.Source
	before []func()
}

func (s *steps) Next(ctx context.Context) (scan.Scan, error) {
	if len(s.before) > 0 {
		s.before[0]()
		s.before = s.before[1:]
	}
	return s.Source.Next(ctx)
}

// Who was just recorded is not recorded again because the door was configured, and
// what the new configuration does not accept is refused at once.
func TestReconfigureKeepsWhatWasJustSeen(t *testing.T) {
	s := newSite(t, 1<<30)
	card, other := s.sign(t, pass.Card, 1, today, today), s.sign(t, pass.Card, 2, today, today)
	at := time.Now()
	s.src.scans = []scan.Scan{{Text: card, At: at}, {Text: card, At: at.Add(2 * time.Second)}, {Text: other, At: at.Add(3 * time.Second)}}
	var k *kiosk.Kiosk
	config := func(alter func(*wire.KioskConfig)) func() {
		return func() {
			c := s.door.Config
			alter(&c)
			if err := k.Reconfigure(c); err != nil {
				t.Error(err)
			}
		}
	}
	s.door.Source = &steps{s.src, []func(){
		func() {},
		config(func(c *wire.KioskConfig) { c.Repeat = 10 * time.Second }),
		config(func(c *wire.KioskConfig) { c.Accept = []pass.Kind{pass.CCCD} }),
	}}
	var err error
	if k, err = kiosk.New(s.door, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	if err := k.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "EOF") {
		t.Fatalf("Run = %v, want the end of the scans", err)
	}
	if got, want := s.lamps.answers(t), []string{"admitted", "again", "refused"}; !slices.Equal(got, want) {
		t.Errorf("answers %v, want %v", got, want)
	}
	trap := s.door.Config
	trap.Direction, trap.OnFault = wire.Out, wire.Refuse
	if err := k.Reconfigure(trap); err == nil {
		t.Error("a way out that holds people in was taken")
	}
}
