package fleet

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"time"

	judge "github.com/qrgate/qrgate/server/fleet"
	"github.com/qrgate/qrgate/server/store"
)

// sampleColumns are those of which a slot keeps the largest value.
var sampleColumns = []string{"queued", "oldest", "outbox", "disk", "memory", "temperature", "round_trip", "unreadable"}

var saveSample = func() string {
	query := `INSERT INTO fleet_samples (kiosk_no, grain, at, beats, queued, oldest, outbox, disk, memory, temperature, round_trip, unreadable, scans, power)
		SELECT no, CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS BIGINT)`
	for range 10 {
		query += ", CAST(? AS BIGINT)"
	}
	query += ` FROM kiosks WHERE id = ? AND kind = 0
		ON CONFLICT (kiosk_no, grain, at) DO UPDATE SET beats = fleet_samples.beats + excluded.beats, scans = COALESCE(fleet_samples.scans, 0) + COALESCE(excluded.scans, 0),
			power = CASE WHEN excluded.power IS NULL THEN fleet_samples.power ELSE COALESCE(fleet_samples.power, 0) | excluded.power END`
	for _, c := range sampleColumns {
		query += ", " + c + " = CASE WHEN fleet_samples." + c + " IS NULL OR excluded." + c + " > fleet_samples." + c + " THEN excluded." + c + " ELSE fleet_samples." + c + " END"
	}
	return query
}()

// SaveSamples adds samples to those of their slots, of five minutes and of an hour.
// Those of unknown kiosks are skipped.
func (f *Fleet) SaveSamples(ctx context.Context, samples []judge.Recorded) error {
	err := f.s.Write(ctx, func(t store.Tx) error {
		for i := range samples {
			s := &samples[i]
			for grain, slot := range []time.Duration{judge.Fine, judge.Coarse} {
				args := []any{int64(grain), s.At.Truncate(slot).UnixMilli(), s.Beats}
				for _, v := range []int64{s.Queued, s.Oldest, s.Outbox, s.Disk, s.Memory, s.Temperature, s.RoundTrip, s.Unreadable, s.Scans, s.Power} {
					if v < 0 {
						args = append(args, nil)
					} else {
						args = append(args, v)
					}
				}
				if _, err := t.Exec(saveSample, append(args, s.Kiosk)...); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return wrap("save samples", err)
}

// History returns the samples of a kiosk from a time on, in slots of [judge.Fine] or
// [judge.Coarse].
func (f *Fleet) History(ctx context.Context, no int64, slot time.Duration, from time.Time) ([]judge.Sample, error) {
	grain := int64(0)
	if slot == judge.Coarse {
		grain = 1
	}
	var all []judge.Sample
	err := f.s.Read(ctx, func(r *sql.Rows) error {
		var s judge.Sample
		var begin int64
		err := r.Scan(&begin, &s.Beats, &s.Queued, &s.Oldest, &s.Outbox, &s.Disk, &s.Memory, &s.Temperature, &s.RoundTrip, &s.Unreadable, &s.Scans, &s.Power)
		s.At = at(begin)
		all = append(all, s)
		return err
	}, `SELECT at, beats, COALESCE(queued, -1), COALESCE(oldest, -1), COALESCE(outbox, -1), COALESCE(disk, -1), COALESCE(memory, -1), COALESCE(temperature, -1),
			COALESCE(round_trip, -1), COALESCE(unreadable, -1), COALESCE(scans, -1), COALESCE(power, -1)
		FROM fleet_samples WHERE kiosk_no = ? AND grain = ? AND at >= ? ORDER BY at`, no, grain, from.UnixMilli())
	return all, wrap("history", err)
}

// Usual asks for as many days as this, of which usualLeast must be known.
const (
	usualDays  = 14
	usualLeast = 5
)

// Usual returns how many scans a kiosk makes as a rule in such hours as those before
// now: the median of the days before.
func (f *Fleet) Usual(ctx context.Context, no int64, over time.Duration, now time.Time) (scans int64, known bool, err error) {
	hours := int64(max(over, time.Hour) / time.Hour)
	days := map[int64]int64{}
	end := now.Truncate(time.Hour).UnixMilli()
	const day, hour = 24 * 3600 * 1000, 3600 * 1000
	err = f.s.Read(ctx, func(r *sql.Rows) error {
		var begin, n int64
		if err := r.Scan(&begin, &n); err != nil {
			return err
		}
		back := end - begin // of the slot's begin
		if d, h := back/day, back%day/hour; d >= 1 && h >= 1 && h <= hours {
			days[d] += n
		} else if d >= 1 {
			days[d] += 0
		}
		return nil
	}, "SELECT at, COALESCE(scans, 0) FROM fleet_samples WHERE kiosk_no = ? AND grain = 1 AND at >= ? AND at < ? ORDER BY at",
		no, end-(usualDays+1)*day, end)
	if err != nil || len(days) < usualLeast {
		return 0, false, wrap("usual", err)
	}
	var all []int64
	for _, n := range days {
		all = append(all, n)
	}
	slices.Sort(all)
	return all[len(all)/2], true, nil
}

// SaveComings keeps when kiosks came and went.
func (f *Fleet) SaveComings(ctx context.Context, comings []judge.Coming) error {
	for some := range slices.Chunk(comings, 500) {
		err := f.s.Write(ctx, func(t store.Tx) error {
			for _, c := range some {
				_, err := t.Exec("INSERT INTO fleet_presences (kiosk_no, at, up, session) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
					c.No, c.At.UnixMilli(), flag(c.Up), int64(c.Session))
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return wrap("save comings", err)
		}
	}
	return nil
}

// Comings returns when a kiosk came and went, the newest first, at most n.
func (f *Fleet) Comings(ctx context.Context, no int64, n int) ([]judge.Coming, error) {
	var all []judge.Coming
	err := f.s.Read(ctx, func(r *sql.Rows) error {
		c := judge.Coming{No: no}
		var when, session int64
		err := r.Scan(&when, &c.Up, &session)
		c.At, c.Session = at(when), uint64(session)
		all = append(all, c)
		return err
	}, "SELECT at, up, session FROM fleet_presences WHERE kiosk_no = ? ORDER BY at DESC LIMIT ?", no, n)
	return all, wrap("comings", err)
}

const (
	keepComings = 90 * 24 * time.Hour
	keepAlarms  = 365 * 24 * time.Hour
	// pruneKiosks is how many kiosks' history one transaction prunes.
	pruneKiosks = 200
)

// Prune drops what is older than it is kept.
func (f *Fleet) Prune(ctx context.Context, now time.Time) (more bool, err error) {
	last := int64(0)
	err = f.s.Read(ctx, func(r *sql.Rows) error { return r.Scan(&last) }, "SELECT COALESCE(MAX(no), 0) FROM kiosks")
	for first := int64(1); err == nil && first <= last; first += pruneKiosks {
		// Named one by one, each is found by the primary key; a range of kiosks would be
		// read as a whole.
		kiosks := make([]any, 0, pruneKiosks+1)
		for no := first; no < first+pruneKiosks; no++ {
			kiosks = append(kiosks, no)
		}
		in := " WHERE kiosk_no IN (?" + strings.Repeat(", ?", len(kiosks)-1) + ")"
		err = f.s.Write(ctx, func(t store.Tx) error {
			for _, d := range []struct {
				query string
				keep  time.Duration
			}{
				{"DELETE FROM fleet_samples" + in + " AND grain = 0 AND at < ?", judge.KeepFine},
				{"DELETE FROM fleet_samples" + in + " AND grain = 1 AND at < ?", judge.KeepCoarse},
				{"DELETE FROM fleet_presences" + in + " AND at < ?", keepComings},
			} {
				if _, err := t.Exec(d.query, append(kiosks[:len(kiosks):len(kiosks)], now.Add(-d.keep).UnixMilli())...); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err == nil {
		err = f.s.Write(ctx, func(t store.Tx) error {
			if _, err := t.Exec("DELETE FROM fleet_alarms WHERE ended > 0 AND ended < ?", now.Add(-keepAlarms).UnixMilli()); err != nil {
				return err
			}
			if _, err := t.Exec("DELETE FROM fleet_mutes WHERE until < ?", now.UnixMilli()); err != nil {
				return err
			}
			_, err := t.Exec("DELETE FROM fleet_posts WHERE NOT EXISTS (SELECT 1 FROM fleet_subscriptions s WHERE s.id = fleet_posts.subscription)")
			return err
		})
	}
	return false, wrap("prune", err)
}
