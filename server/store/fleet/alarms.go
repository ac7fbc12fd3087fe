package fleet

import (
	"context"
	"database/sql"
	"slices"
	"time"

	judge "github.com/qrgate/qrgate/server/fleet"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
)

const alarmColumns = "a.kiosk_no, COALESCE(k.id, ''), a.kind, a.since, a.grave, a.value, a.about, a.seen, a.ended, a.acked_by, a.acked, a.together, a.told, a.told_end"

const alarmTables = " FROM fleet_alarms a LEFT JOIN kiosks k ON k.no = a.kiosk_no WHERE "

func scanAlarm(r *sql.Rows) (judge.Alarm, error) {
	var a judge.Alarm
	var since, seen, ended, acked, told, toldEnd int64
	err := r.Scan(&a.No, &a.Kiosk, &a.Kind, &since, &a.Grave, &a.Value, &a.About, &seen, &ended, &a.AckedBy, &acked, &a.Together, &told, &toldEnd)
	a.Since, a.Seen, a.Ended, a.Acked, a.Told, a.ToldEnd = at(since), at(seen), at(ended), at(acked), at(told), at(toldEnd)
	return a, err
}

func (f *Fleet) alarms(ctx context.Context, where string, args ...any) ([]judge.Alarm, error) {
	var all []judge.Alarm
	err := f.s.Read(ctx, func(r *sql.Rows) error {
		a, err := scanAlarm(r)
		all = append(all, a)
		return err
	}, "SELECT "+alarmColumns+alarmTables+where, args...)
	return all, wrap("alarms", err)
}

// toldWithin is how long after its end people may still be told of it.
const toldWithin = 24 * time.Hour

// Current returns the alarms that last, and those of whose end people are to be told.
func (f *Fleet) Current(ctx context.Context) ([]judge.Alarm, error) {
	return f.alarms(ctx, "a.ended = 0 OR a.ended > ? AND a.told > 0 AND a.told_end = 0 ORDER BY a.kiosk_no, a.kind", f.now().Add(-toldWithin).UnixMilli())
}

// Open returns the alarms that last.
func (f *Fleet) Open(ctx context.Context) ([]judge.Alarm, error) {
	return f.alarms(ctx, "a.ended = 0 ORDER BY a.kiosk_no, a.kind")
}

// Ended returns the alarms that ended last, at most n.
func (f *Fleet) Ended(ctx context.Context, n int) ([]judge.Alarm, error) {
	return f.alarms(ctx, "a.ended > 0 ORDER BY a.ended DESC LIMIT ?", n)
}

// AlarmsOf returns the alarms of one kiosk, the newest first, at most n.
func (f *Fleet) AlarmsOf(ctx context.Context, no int64, n int) ([]judge.Alarm, error) {
	return f.alarms(ctx, "a.kiosk_no = ? ORDER BY CASE WHEN a.ended = 0 THEN 0 ELSE 1 END, a.since DESC LIMIT ?", no, n)
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// SaveAlarms keeps alarms as they are now. Whether somebody has acknowledged them, or
// was told of them, stays as it is kept.
func (f *Fleet) SaveAlarms(ctx context.Context, alarms []judge.Alarm) error {
	for some := range slices.Chunk(alarms, 500) {
		err := f.s.Write(ctx, func(t store.Tx) error {
			for i := range some {
				if err := saveAlarm(t, &some[i]); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return wrap("save alarms", err)
		}
	}
	return nil
}

func saveAlarm(t store.Tx, a *judge.Alarm) error {
	// Another server may have begun one of that kind a moment earlier: that one stays.
	n, err := t.Exec(`INSERT INTO fleet_alarms (kiosk_no, kind, since, grave, value, about, seen, ended, acked_by, acked, together, told, told_end)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, '', 0, ?, 0, 0) ON CONFLICT DO NOTHING`,
		a.No, string(a.Kind), a.Since.UnixMilli(), flag(a.Grave), a.Value, a.About, a.Seen.UnixMilli(), milli(a.Ended), flag(a.Together))
	if err == nil && n == 0 {
		_, err = t.Exec("UPDATE fleet_alarms SET value = ?, about = ?, seen = ?, ended = ?, together = ? WHERE kiosk_no = ? AND kind = ? AND since = ? AND ended = 0",
			a.Value, a.About, a.Seen.UnixMilli(), milli(a.Ended), flag(a.Together), a.No, string(a.Kind), a.Since.UnixMilli())
	}
	return err
}

// Begin begins alarms of kiosks that have none of that kind, and notes of the others
// that they last. Unknown kiosks are skipped.
func (f *Fleet) Begin(ctx context.Context, kind judge.Kind, kiosks []string, now time.Time) error {
	err := f.s.Write(ctx, func(t store.Tx) error {
		for _, id := range kiosks {
			n, err := t.Exec(`UPDATE fleet_alarms SET seen = ? WHERE kind = ? AND ended = 0 AND kiosk_no = (SELECT no FROM kiosks WHERE id = ? AND kind = 0)`,
				now.UnixMilli(), string(kind), id)
			if err == nil && n == 0 {
				_, err = t.Exec(`INSERT INTO fleet_alarms (kiosk_no, kind, since, grave, value, about, seen, ended, acked_by, acked, together, told, told_end)
					SELECT no, CAST(? AS TEXT), CAST(? AS BIGINT), CAST(? AS BIGINT), 0, '', CAST(? AS BIGINT), 0, '', 0, 0, 0, 0 FROM kiosks WHERE id = ? AND kind = 0
					ON CONFLICT DO NOTHING`, string(kind), now.UnixMilli(), flag(kind.Grave()), now.UnixMilli(), id)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	return wrap("begin alarms", err)
}

// SaveTold notes that people were told of alarms, with what is to be posted to them.
// An address for which many posts wait gets no more.
func (f *Fleet) SaveTold(ctx context.Context, told []judge.Alarm, posts []judge.Post) error {
	err := f.s.Write(ctx, func(t store.Tx) error {
		for i := range told {
			a := &told[i]
			_, err := t.Exec("UPDATE fleet_alarms SET told = ?, told_end = ? WHERE kiosk_no = ? AND kind = ? AND since = ?",
				milli(a.Told), milli(a.ToldEnd), a.No, string(a.Kind), a.Since.UnixMilli())
			if err != nil {
				return err
			}
		}
		for _, p := range posts {
			there, waiting := 0, 0
			err := t.Each(func(r *sql.Rows) error { return r.Scan(&there, &waiting) },
				"SELECT COUNT(*), (SELECT COUNT(*) FROM fleet_posts WHERE subscription = ?) FROM fleet_subscriptions WHERE id = ?", p.Subscription, p.Subscription)
			if err == nil && there > 0 && waiting < postsKept {
				_, err = t.Exec("INSERT INTO fleet_posts (id, subscription, body, made, due, tries) VALUES (?, ?, ?, ?, ?, 0)",
					store.NewID(), p.Subscription, p.Body, p.Made.UnixMilli(), p.Due.UnixMilli())
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	return wrap("save told", err)
}

// postsKept is how many posts may wait for one address.
const postsKept = 100

// Acknowledge notes that somebody has taken an alarm into their hands. It is
// qrgate.ErrConflict if it has ended, or somebody else has.
func (f *Fleet) Acknowledge(ctx context.Context, by string, kiosk *judge.Kiosk, kind judge.Kind) error {
	now := f.now()
	no, id := int64(0), "network"
	if kiosk != nil {
		no, id = kiosk.No, kiosk.ID
	}
	err := f.s.Write(ctx, func(t store.Tx) error {
		n, err := t.Exec("UPDATE fleet_alarms SET acked = ?, acked_by = ? WHERE kiosk_no = ? AND kind = ? AND ended = 0 AND acked = 0", now.UnixMilli(), by, no, string(kind))
		if err == nil && n == 0 {
			err = qrgate.ErrConflict
		}
		if err != nil {
			return err
		}
		return t.Audit(by, "acknowledge alarm", "kiosk "+id, string(kind))
	})
	return wrap("acknowledge", err)
}

// Mute makes that nobody is told of alarms of a kiosk, of a kind or of all (""),
// until a time; a time that is past ends it.
func (f *Fleet) Mute(ctx context.Context, by string, kiosk *judge.Kiosk, kind judge.Kind, until time.Time) error {
	now := f.now()
	err := f.s.Write(ctx, func(t store.Tx) error {
		action, query, args := "mute alarms", `INSERT INTO fleet_mutes (kiosk_no, kind, until, made_by, made) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (kiosk_no, kind) DO UPDATE SET until = excluded.until, made_by = excluded.made_by, made = excluded.made`,
			[]any{kiosk.No, string(kind), until.UnixMilli(), by, now.UnixMilli()}
		if !until.After(now) {
			action, query, args = "unmute alarms", "DELETE FROM fleet_mutes WHERE kiosk_no = ? AND kind = ?", []any{kiosk.No, string(kind)}
		}
		if _, err := t.Exec(query, args...); err != nil {
			return err
		}
		return t.Audit(by, action, "kiosk "+kiosk.ID, string(kind))
	})
	return wrap("mute", err)
}

// Mutes returns what is muted at now.
func (f *Fleet) Mutes(ctx context.Context, now time.Time) ([]judge.Mute, error) {
	var all []judge.Mute
	err := f.s.Read(ctx, func(r *sql.Rows) error {
		var m judge.Mute
		var until, made int64
		err := r.Scan(&m.No, &m.Kiosk, &m.Kind, &until, &m.By, &made)
		m.Until, m.Made = at(until), at(made)
		all = append(all, m)
		return err
	}, "SELECT m.kiosk_no, k.id, m.kind, m.until, m.made_by, m.made FROM fleet_mutes m JOIN kiosks k ON k.no = m.kiosk_no WHERE m.until > ? ORDER BY m.kiosk_no, m.kind", now.UnixMilli())
	return all, wrap("mutes", err)
}
