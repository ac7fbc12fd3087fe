package fleet_test

import (
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/fleet"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// now is a Thursday, at noon.
var now = time.Date(2026, 11, 26, 12, 0, 0, 0, qrgate.Zone)

// daily is the hours of a shop.
var daily = []qrgate.Hours{{Days: qrgate.EveryDay, Open: 7 * 60, Close: 19 * 60}}

func well() *wire.Beat {
	return &wire.Beat{
		V: 1, Session: 1 << 32, Release: "1.4.2", Used: 1 << 20, Limit: 200 << 20, Uptime: 86_400, DiskFree: 20 << 30, DiskTotal: 32 << 30,
		Temperature: 51_000, Power: wire.PowerKnown, State: when.Synced, Error: 40,
		Scanners: []wire.ScannerBeat{{Name: "usb-1", Present: true, Scans: 100, LastScan: now.Add(-time.Minute).UnixMilli()}},
	}
}

func kiosk(b *wire.Beat) *fleet.Kiosk {
	return &fleet.Kiosk{
		No: 1, ID: "gate-0001", State: qrgate.KioskActive, Up: true, Changed: now.Add(-24 * time.Hour), Contact: now.Add(-20 * time.Second), Beat: b,
		Place: fleet.Place{No: 1, Name: "Chợ Đông Ba", Kind: "market", Hours: daily},
	}
}

func look() fleet.Look {
	return fleet.Look{Now: now, Linked: now.Add(-24 * time.Hour), Release: "1.4.0"}
}

// verdicts returns what is not Off.
func verdicts(all []fleet.Finding) map[fleet.Kind]fleet.Verdict {
	m := map[fleet.Kind]fleet.Verdict{}
	for _, f := range all {
		if f.Verdict != fleet.Off {
			m[f.Kind] = f.Verdict
		}
	}
	return m
}

func TestJudge(t *testing.T) {
	type change func(k *fleet.Kiosk, b *wire.Beat, l *fleet.Look)
	on, hold := fleet.On, fleet.Hold
	tests := []struct {
		name   string
		change change
		kind   fleet.Kind
		want   fleet.Verdict
	}{
		{"four minutes without a beat", func(k *fleet.Kiosk, _ *wire.Beat, _ *fleet.Look) { k.Contact = now.Add(-4 * time.Minute) }, fleet.IsSilent, hold},
		{"five", func(k *fleet.Kiosk, _ *wire.Beat, _ *fleet.Look) { k.Contact = now.Add(-5 * time.Minute) }, fleet.IsSilent, on},
		{"its link has just ended", func(k *fleet.Kiosk, _ *wire.Beat, _ *fleet.Look) { k.Up, k.Changed = false, now }, fleet.IsSilent, hold},
		{"three minutes at a hospital", func(k *fleet.Kiosk, _ *wire.Beat, _ *fleet.Look) {
			k.Contact, k.Place.Kind = now.Add(-3*time.Minute), "hospital"
		}, fleet.IsSilent, on},
		{"ten minutes at a shop", func(k *fleet.Kiosk, _ *wire.Beat, _ *fleet.Look) {
			k.Contact, k.Place.Kind = now.Add(-10*time.Minute), "shop"
		}, fleet.IsSilent, hold},
		{"closed", func(k *fleet.Kiosk, _ *wire.Beat, _ *fleet.Look) {
			k.Contact, k.Place.Hours = now.Add(-time.Hour), []qrgate.Hours{{Days: qrgate.EveryDay, Open: 13 * 60, Close: 19 * 60}}
		}, fleet.IsSilent, hold},
		{"opened a quarter of an hour ago", func(k *fleet.Kiosk, _ *wire.Beat, _ *fleet.Look) {
			k.Contact, k.Place.Hours = now.Add(-12*time.Hour), []qrgate.Hours{{Days: qrgate.EveryDay, Open: 11*60 + 45, Close: 19 * 60}}
		}, fleet.IsSilent, hold},
		{"the server has just started", func(k *fleet.Kiosk, _ *wire.Beat, l *fleet.Look) {
			k.Contact, l.Linked = now.Add(-time.Hour), now.Add(-time.Minute)
		}, fleet.IsSilent, hold},
		{"the server is cut off", func(k *fleet.Kiosk, _ *wire.Beat, l *fleet.Look) {
			k.Contact, l.Linked = now.Add(-time.Hour), time.Time{}
		}, fleet.IsSilent, hold},
		{"never heard of", func(k *fleet.Kiosk, _ *wire.Beat, _ *fleet.Look) {
			k.Contact, k.Changed, k.Up, k.Beat = time.Time{}, time.Time{}, false, nil
		}, "", 0},
		{"revoked", func(k *fleet.Kiosk, _ *wire.Beat, _ *fleet.Look) {
			k.Contact, k.State = now.Add(-time.Hour), qrgate.KioskRevoked
		}, "", 0},

		{"records waiting", func(_ *fleet.Kiosk, b *wire.Beat, _ *fleet.Look) { b.Queued, b.Oldest = 40, 60_000 }, "", 0},
		{"waiting for ten minutes", func(_ *fleet.Kiosk, b *wire.Beat, _ *fleet.Look) { b.Queued, b.Oldest = 40, 600_000 }, fleet.IsBehind, hold},
		{"waiting for an hour", func(_ *fleet.Kiosk, b *wire.Beat, _ *fleet.Look) { b.Queued, b.Oldest = 40, 3_600_000 }, fleet.IsBehind, on},
		{"thousands waiting", func(_ *fleet.Kiosk, b *wire.Beat, _ *fleet.Look) { b.Queued = 5_000 }, fleet.IsBehind, on},
		{"no number at all", func(_ *fleet.Kiosk, b *wire.Beat, _ *fleet.Look) { b.Queued, b.Oldest = 1<<64-1, -1<<63 }, fleet.IsBehind, on},

		{"clock of a chip", func(_ *fleet.Kiosk, b *wire.Beat, _ *fleet.Look) { b.State = when.Chip }, fleet.HasClock, on},
		{"drifting", func(_ *fleet.Kiosk, b *wire.Beat, _ *fleet.Look) { b.State, b.Error = when.Holding, 30_000 }, fleet.HasClock, hold},
		{"drifted", func(_ *fleet.Kiosk, b *wire.Beat, _ *fleet.Look) { b.State, b.Error = when.Holding, 61_000 }, fleet.HasClock, on},

		{"outbox at three quarters", func(_ *fleet.Kiosk, b *wire.Beat, _ *fleet.Look) { b.Used = 150 << 20 }, fleet.IsFull, hold},
		{"outbox nearly full", func(_ *fleet.Kiosk, b *wire.Beat, _ *fleet.Look) { b.Used = 190 << 20 }, fleet.IsFull, on},
		{"disk full", func(_ *fleet.Kiosk, b *wire.Beat, _ *fleet.Look) { b.DiskFree = 1 << 20 }, fleet.IsFull, on},
		{"disk read-only", func(_ *fleet.Kiosk, b *wire.Beat, _ *fleet.Look) { b.ReadOnly = true }, fleet.IsFull, on},
		{"disk of an older release", func(_ *fleet.Kiosk, b *wire.Beat, _ *fleet.Look) { b.DiskFree, b.DiskTotal = 0, 0 }, "", 0},

		{"warm", func(_ *fleet.Kiosk, b *wire.Beat, _ *fleet.Look) { b.Temperature = 77_000 }, fleet.IsHot, hold},
		{"hot", func(_ *fleet.Kiosk, b *wire.Beat, _ *fleet.Look) { b.Temperature = 80_000 }, fleet.IsHot, on},
		{"under-voltage", func(_ *fleet.Kiosk, b *wire.Beat, _ *fleet.Look) { b.Power |= wire.UnderVoltage }, fleet.HasPower, on},
		{"throttled", func(_ *fleet.Kiosk, b *wire.Beat, _ *fleet.Look) { b.Power |= wire.Throttled }, fleet.HasPower, on},
		{"once", func(_ *fleet.Kiosk, b *wire.Beat, _ *fleet.Look) { b.Power |= wire.WasUnder }, "", 0},

		{"scanner absent", func(_ *fleet.Kiosk, b *wire.Beat, _ *fleet.Look) { b.Scanners[0].Present = false }, fleet.HasScanner, on},
		{"scanner stuck", func(_ *fleet.Kiosk, b *wire.Beat, _ *fleet.Look) { b.Scanners[0].Fault = "stuck" }, fleet.HasScanner, on},
		{"scanner unplugged for the night", func(k *fleet.Kiosk, b *wire.Beat, _ *fleet.Look) {
			b.Scanners[0].Present, k.Place.Hours = false, []qrgate.Hours{{Days: qrgate.EveryDay, Open: 13 * 60, Close: 19 * 60}}
		}, fleet.HasScanner, hold},
		{"dirty glass", func(_ *fleet.Kiosk, b *wire.Beat, _ *fleet.Look) { b.Scanners[0].Share = 60 }, fleet.CannotRead, on},
		{"dirty glass, and few frames", func(_ *fleet.Kiosk, b *wire.Beat, _ *fleet.Look) { b.Scanners[0].Share, b.Scanners[0].Scans = 60, 3 }, "", 0},

		{"nobody comes, and nobody does as a rule", func(_ *fleet.Kiosk, b *wire.Beat, l *fleet.Look) {
			b.Scanners[0].LastScan, l.Usual = now.Add(-3*time.Hour).UnixMilli(), usual(2, true)
		}, "", 0},
		{"nobody comes", func(_ *fleet.Kiosk, b *wire.Beat, l *fleet.Look) {
			b.Scanners[0].LastScan, l.Usual = now.Add(-3*time.Hour).UnixMilli(), usual(80, true)
		}, fleet.HasNobody, on},
		{"nobody comes, and the kiosk is new", func(_ *fleet.Kiosk, b *wire.Beat, l *fleet.Look) {
			b.Scanners[0].LastScan, l.Usual = 0, usual(0, false)
		}, fleet.HasNobody, hold},
		{"nobody comes, an hour after it started", func(_ *fleet.Kiosk, b *wire.Beat, l *fleet.Look) {
			b.Scanners[0].LastScan, b.Uptime, l.Usual = 0, 3600, usual(80, true)
		}, fleet.HasNobody, hold},

		{"people pass and nobody scans", passed(60, 1), fleet.HasNobody, on},
		{"people pass and few scan", passed(60, 6), fleet.HasNobody, hold},
		{"people pass and most scan", passed(60, 50), "", 0},
		{"too few people pass to say", passed(8, 0), fleet.HasNobody, hold},
		{"too few people pass to say, and some scan", passed(8, 3), "", 0},
		{"few people are many at a shop", func(k *fleet.Kiosk, b *wire.Beat, l *fleet.Look) {
			k.Place.Kind = "shop"
			passed(12, 0)(k, b, l)
		}, fleet.HasNobody, on},
		{"people pass while it is closed", func(k *fleet.Kiosk, b *wire.Beat, l *fleet.Look) {
			k.Place.Hours = []qrgate.Hours{{Days: qrgate.EveryDay, Open: 13 * 60, Close: 19 * 60}}
			passed(60, 0)(k, b, l)
		}, fleet.HasNobody, hold},
		{"the beam is broken, and somebody scanned", func(k *fleet.Kiosk, b *wire.Beat, l *fleet.Look) {
			passed(60, 0)(k, b, l)
			b.Passage.Broken = true
		}, "", 0},
		{"the beam has just begun to count", func(k *fleet.Kiosk, b *wire.Beat, l *fleet.Look) {
			passed(60, 0)(k, b, l)
			b.Passage.For = 600_000
		}, "", 0},
		{"nobody comes, as the beam says too", func(k *fleet.Kiosk, b *wire.Beat, l *fleet.Look) {
			passed(0, 0)(k, b, l)
			b.Scanners[0].LastScan, l.Usual = now.Add(-3*time.Hour).UnixMilli(), usual(80, true)
		}, fleet.HasNobody, hold},

		{"a release behind", func(_ *fleet.Kiosk, b *wire.Beat, _ *fleet.Look) { b.Release = "v1.3.9" }, fleet.IsOld, on},
		{"a correction behind", func(_ *fleet.Kiosk, b *wire.Beat, l *fleet.Look) { b.Release, l.Release = "1.4.0", "1.4.9" }, "", 0},
		{"built by hand", func(_ *fleet.Kiosk, b *wire.Beat, _ *fleet.Look) { b.Release = "dev" }, "", 0},
		{"an update that it returned from", func(_ *fleet.Kiosk, b *wire.Beat, _ *fleet.Look) {
			b.Update = &wire.UpdateBeat{Stage: wire.UpdateReturned, Version: "1.5.0"}
		}, fleet.IsOld, on},
		{"certificate of three months", func(_ *fleet.Kiosk, b *wire.Beat, _ *fleet.Look) {
			b.Cert = &wire.CertBeat{Ends: now.AddDate(0, 3, 0).UnixMilli()}
		}, "", 0},
		{"certificate of a week", func(_ *fleet.Kiosk, b *wire.Beat, _ *fleet.Look) {
			b.Cert = &wire.CertBeat{Ends: now.AddDate(0, 0, 7).UnixMilli()}
		}, fleet.Certificate, on},
		{"configuration refused", func(_ *fleet.Kiosk, b *wire.Beat, _ *fleet.Look) {
			b.Config = &wire.ConfigBeat{Running: wire.Stamp{Version: 4}, Refused: wire.Stamp{Version: 5}}
		}, fleet.Refuses, on},
		{"a newer configuration runs", func(_ *fleet.Kiosk, b *wire.Beat, _ *fleet.Look) {
			b.Config = &wire.ConfigBeat{Running: wire.Stamp{Version: 6}, Refused: wire.Stamp{Version: 5}}
		}, "", 0},
		{"forked", func(k *fleet.Kiosk, _ *wire.Beat, _ *fleet.Look) { k.Ledger.Forked = true }, fleet.IsForked, on},
		{"a gap", func(k *fleet.Kiosk, _ *wire.Beat, _ *fleet.Look) { k.Ledger.Gaps = 2 }, fleet.HasGap, on},
		{"moved", func(_ *fleet.Kiosk, b *wire.Beat, _ *fleet.Look) { b.Moved = true }, fleet.IsMoved, on},
		{"well", func(*fleet.Kiosk, *wire.Beat, *fleet.Look) {}, "", 0},
		{"all of it unknown", func(_ *fleet.Kiosk, b *wire.Beat, _ *fleet.Look) { *b = wire.Beat{V: 1, State: when.Synced} }, fleet.HasNobody, hold},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, l := well(), look()
			l.Usual = usual(0, true)
			k := kiosk(b)
			tt.change(k, b, &l)
			if tt.name == "all of it unknown" {
				l.Usual = nil
			}
			want := map[fleet.Kind]fleet.Verdict{}
			if tt.kind != "" {
				want[tt.kind] = tt.want
			}
			got := verdicts(fleet.Judge(k, l))
			if tt.kind == fleet.HasClock && got[fleet.HasNobody] == hold {
				delete(got, fleet.HasNobody) // without a time nobody knows when the last scan was
			}
			if len(got) != len(want) || tt.kind != "" && got[tt.kind] != tt.want {
				t.Errorf("Judge() = %v, want %v", got, want)
			}
		})
	}
}

// passed has a beam that counted so many people of late, of whom so many scanned.
func passed(people, scans uint32) func(*fleet.Kiosk, *wire.Beat, *fleet.Look) {
	return func(_ *fleet.Kiosk, b *wire.Beat, _ *fleet.Look) {
		b.Passage = &wire.PassageBeat{People: 400, Scans: 200, For: wire.LatelyTime.Milliseconds(), Lately: people, LatelyScans: scans}
	}
}

func usual(n int64, known bool) func(*fleet.Kiosk, time.Duration) (int64, bool) {
	return func(*fleet.Kiosk, time.Duration) (int64, bool) { return n, known }
}

func TestStateOf(t *testing.T) {
	long := now.Add(-time.Hour)
	tests := []struct {
		name   string
		change func(k *fleet.Kiosk)
		linked time.Time
		want   fleet.State
	}{
		{"beats", func(*fleet.Kiosk) {}, long, fleet.Online},
		{"will", func(k *fleet.Kiosk) { k.Up, k.Changed = false, now }, long, fleet.Offline},
		{"its broker died with it", func(k *fleet.Kiosk) { k.Contact = now.Add(-10 * time.Minute) }, long, fleet.Silent},
		{"the server is cut off", func(*fleet.Kiosk) {}, time.Time{}, fleet.Unknown},
		{"the server is back, the kiosk not yet", func(k *fleet.Kiosk) { k.Contact = now.Add(-10 * time.Minute) }, now.Add(-time.Minute), fleet.Unknown},
		{"the server is back, the kiosk too", func(*fleet.Kiosk) {}, now.Add(-time.Minute), fleet.Online},
		{"and gone again", func(k *fleet.Kiosk) { k.Up, k.Changed = false, now }, now.Add(-time.Minute), fleet.Offline},
		{"new", func(k *fleet.Kiosk) { k.Up, k.Contact, k.Changed, k.Beat = false, time.Time{}, time.Time{}, nil }, long, fleet.Unseen},
		{"just connected", func(k *fleet.Kiosk) { k.Contact, k.Changed = time.Time{}, now }, long, fleet.Online},
		{"revoked", func(k *fleet.Kiosk) { k.State = qrgate.KioskRevoked }, long, fleet.Revoked},
	}
	for _, tt := range tests {
		k := kiosk(well())
		tt.change(k)
		if got := fleet.StateOf(k, now, tt.linked); got != tt.want {
			t.Errorf("%s: StateOf() = %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestOpenFor(t *testing.T) {
	at := func(day, clock string) time.Time {
		m, err := time.ParseInLocation("2006-01-02 15:04", day+" "+clock, qrgate.Zone)
		if err != nil {
			t.Fatal(err)
		}
		return m.UTC()
	}
	const thursday, sunday, monday = "2026-11-26", "2026-11-29", "2026-11-30"
	bar := []qrgate.Hours{{Days: 1 << time.Sunday, Open: 18 * 60, Close: 2 * 60}}
	tests := []struct {
		name  string
		hours []qrgate.Hours
		now   time.Time
		long  time.Duration
		open  bool
	}{
		{"nobody has said", nil, at(thursday, "03:00"), 7 * 24 * time.Hour, true},
		{"before", daily, at(thursday, "06:59"), 0, false},
		{"at the hour", daily, at(thursday, "07:00"), 0, true},
		{"noon", daily, at(thursday, "12:00"), 5 * time.Hour, true},
		{"after", daily, at(thursday, "19:00"), 0, false},
		{"past midnight", bar, at(monday, "01:30"), 7*time.Hour + 30*time.Minute, true},
		{"past its end", bar, at(monday, "02:00"), 0, false},
		{"the night before", bar, at(sunday, "01:30"), 0, false},
		{"all day", []qrgate.Hours{{Days: qrgate.EveryDay}}, at(thursday, "00:05"), 7 * 24 * time.Hour, true},
	}
	for _, tt := range tests {
		if long, open := fleet.OpenFor(tt.hours, tt.now); long != tt.long || open != tt.open {
			t.Errorf("%s: OpenFor() = %s, %t, want %s, %t", tt.name, long, open, tt.long, tt.open)
		}
	}
}

func TestNewest(t *testing.T) {
	var all []*fleet.Kiosk
	for _, release := range []string{"1.4.0", "1.4.1", "v1.4.2", "1.5.0", "1.5.0-rc1", "dev", "", "9.9", "2026-11-26", "1.3.7", "1.3.8", "1.3.9"} {
		b := well()
		b.Release = release
		all = append(all, kiosk(b))
	}
	all = append(all, kiosk(nil))
	if got := fleet.Newest(all); got != "v1.4.2" {
		t.Errorf("Newest() = %q, want v1.4.2, which three run", got)
	}
}
