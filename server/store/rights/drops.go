package rights

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
)

// A Drop is a day whose check-ins are gone, or going.
type Drop struct {
	Day      qrgate.Day
	Shredded time.Time // when its key was destroyed
	Rows     int64     // check-ins that were dropped
	Letters  int64     // messages that could not be used, of that day
	People   int64     // persons that were forgotten with it
	Done     time.Time // zero while there is more to drop
}

// Shredded notes that the key of a day was destroyed. What was noted first stays.
func (r *Rights) Shredded(ctx context.Context, day qrgate.Day) error {
	err := r.s.Write(ctx, func(t store.Tx) error {
		n, err := t.Exec("INSERT INTO drops (day, shredded, rows, letters, people) VALUES (?, ?, 0, 0, 0) ON CONFLICT (day) DO NOTHING",
			int64(day), r.now().UnixMilli())
		if err != nil || n == 0 {
			return err
		}
		return t.Audit("", "shred day", "day "+day.String(), "")
	})
	return wrap("shredded", err)
}

// AddDropped adds to what was dropped of a day.
func (r *Rights) AddDropped(ctx context.Context, day qrgate.Day, rows, letters, people int64) error {
	if rows == 0 && letters == 0 && people == 0 {
		return nil
	}
	err := r.s.Write(ctx, func(t store.Tx) error {
		n, err := t.Exec("UPDATE drops SET rows = rows + ?, letters = letters + ?, people = people + ? WHERE day = ?", rows, letters, people, int64(day))
		if err == nil && n == 0 {
			err = qrgate.ErrNotFound
		}
		return err
	})
	return wrap("dropped", err)
}

// Dropped notes that nothing of a day is left.
func (r *Rights) Dropped(ctx context.Context, day qrgate.Day) error {
	err := r.s.Write(ctx, func(t store.Tx) error {
		n, err := t.Exec("UPDATE drops SET done = ? WHERE day = ? AND done IS NULL", r.now().UnixMilli(), int64(day))
		if err != nil || n == 0 {
			return err
		}
		return t.Audit("", "drop day", "day "+day.String(), "")
	})
	return wrap("dropped", err)
}

// Drops returns the newest of the days that were dropped, the latest first.
func (r *Rights) Drops(ctx context.Context, most int) (all []Drop, err error) {
	err = r.s.Read(ctx, func(rows *sql.Rows) error {
		var d Drop
		err := rows.Scan(&d.Day, (*store.Milli)(&d.Shredded), &d.Rows, &d.Letters, &d.People, (*store.Milli)(&d.Done))
		all = append(all, d)
		return err
	}, "SELECT day, shredded, rows, letters, people, done FROM drops ORDER BY day DESC LIMIT ?", most)
	return all, wrap("drops", err)
}

// step is how many rows one transaction drops: an intake waits for no more.
const step = 500

// ForgetLetters drops messages that came before a time and could not be used:
// their records can be opened with a key of the server. It returns how many they
// were, and whether there may be more.
func (r *Rights) ForgetLetters(ctx context.Context, before time.Time) (n int64, more bool, err error) {
	err = r.s.Write(ctx, func(t store.Tx) (err error) {
		n, err = t.Exec(`DELETE FROM dead_letters WHERE (epoch_no, seq) IN
			(SELECT epoch_no, seq FROM dead_letters WHERE received < ? ORDER BY epoch_no, seq LIMIT ?)`, before.UnixMilli(), step)
		return err
	})
	return n, n == step, wrap("forget letters", err)
}

// A Copy is a verified backup of the database, which holds what was not yet
// dropped when it was made.
type Copy struct {
	ID       string
	Made     time.Time
	Verified time.Time
	Gone     time.Time // zero while nobody has said that it was deleted
}

// Copies returns the verified backups of which nobody has said that they are
// gone, and those that went last, the latest first.
func (r *Rights) Copies(ctx context.Context, most int) (all []Copy, err error) {
	err = r.s.Read(ctx, func(rows *sql.Rows) error {
		var c Copy
		err := rows.Scan(&c.ID, (*store.Milli)(&c.Made), (*store.Milli)(&c.Verified), (*store.Milli)(&c.Gone))
		all = append(all, c)
		return err
	}, `SELECT b.id, b.made, b.verified, g.gone FROM backups b LEFT JOIN copies_gone g ON g.id = b.id
		ORDER BY CASE WHEN g.gone IS NULL THEN 0 ELSE 1 END, b.made DESC LIMIT ?`, most)
	return all, wrap("copies", err)
}

// Gone notes that a copy was deleted, as an account says, or the server itself
// has done. Saying it twice changes nothing.
func (r *Rights) Gone(ctx context.Context, by, id string) error {
	err := r.s.Write(ctx, func(t store.Tx) error {
		n, err := t.Exec("INSERT INTO copies_gone (id, gone, said_by) VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING", id, r.now().UnixMilli(), by)
		if err != nil || n == 0 {
			return err
		}
		return t.Audit(by, "delete backup", "backup "+id, "")
	})
	return wrap("gone", err)
}

// IsGone reports whether somebody has said that a copy was deleted.
func (r *Rights) IsGone(ctx context.Context, id string) (gone bool, err error) {
	err = r.s.Read(ctx, func(*sql.Rows) error { gone = true; return nil }, "SELECT 1 FROM copies_gone WHERE id = ?", id)
	return gone, wrap("gone", err)
}

// Newest returns the newest time that a server has written down while it served: when
// a check-in came, or something was done of which the row is sealed. It is zero if
// there is none.
func (r *Rights) Newest(ctx context.Context) (at time.Time, err error) {
	err = r.s.Read(ctx, func(rows *sql.Rows) error { return rows.Scan((*store.Milli)(&at)) },
		"SELECT MAX(at) FROM (SELECT MAX(received) AS at FROM epochs UNION ALL SELECT MAX(newest) FROM audit_seals) AS newest")
	return at, wrap("newest", err)
}

// ClockConfirmed notes that somebody says that a server's clock is right, though
// something else was known of the time.
func (r *Rights) ClockConfirmed(ctx context.Context, by string, known, says time.Time) error {
	err := r.s.Write(ctx, func(t store.Tx) error {
		return t.Audit(by, "confirm clock", "clock", "known "+known.UTC().Format(time.RFC3339)+", confirmed "+says.UTC().Format(time.RFC3339))
	})
	return wrap("confirm clock", err)
}

// Loose persons are those whom only check-ins keep: nobody gave them a card or
// invited them. Loose calls fn with each.
func (r *Rights) Loose(ctx context.Context, fn func(qrgate.Person) error) error {
	var kept []string
	for _, table := range keepers {
		kept = append(kept, "SELECT person FROM "+table)
	}
	err := r.s.Read(ctx, func(rows *sql.Rows) error {
		var p int64
		if err := rows.Scan(&p); err != nil {
			return err
		}
		return fn(qrgate.Person(p))
	}, "SELECT person FROM (SELECT person FROM identities UNION SELECT person FROM people) AS p WHERE person NOT IN ("+strings.Join(kept, " UNION ")+")")
	return wrap("loose persons", err)
}

// keepers are the tables whose rows keep a person beyond their last check-in.
var keepers = []string{"holders", "guests"}

// forgetStep is how many people one transaction forgets, while no intake goes on.
const forgetStep = 200

// Forget drops what is known of persons whom nothing keeps any more, and returns
// how many they were. subjects returns a person as the check-ins of each day hold
// them: whoever has checked in since, got a card or was invited is left.
func (r *Rights) Forget(ctx context.Context, all []qrgate.Person, subjects func(qrgate.Person) (map[qrgate.Day]qrgate.Subject, error)) (n int64, err error) {
	for some := range slices.Chunk(all, forgetStep) {
		asked := map[qrgate.Day]map[qrgate.Subject]bool{}
		of := map[qrgate.Person]map[qrgate.Day]qrgate.Subject{}
		for _, p := range some {
			if of[p], err = subjects(p); err != nil {
				return n, wrap("forget", err)
			}
			for day, s := range of[p] {
				if asked[day] == nil {
					asked[day] = map[qrgate.Subject]bool{}
				}
				asked[day][s] = false
			}
		}
		forgotten := 0
		err := r.s.Write(ctx, func(t store.Tx) error {
			if err := t.ForgetPeople(); err != nil { // from here on nobody comes back
				return err
			}
			if err := t.Seen(asked); err != nil {
				return err
			}
			kept, err := keptOf(t, some)
			if err != nil {
				return err
			}
			var gone []qrgate.Person
			for _, p := range some {
				for day, s := range of[p] {
					kept[p] = kept[p] || asked[day][s]
				}
				if !kept[p] {
					gone = append(gone, p)
				}
			}
			if in, args := inPersons(gone); len(args) > 0 {
				for _, of := range []string{"merges WHERE person", "merges WHERE same_as", "restraints WHERE person"} {
					if _, err := t.Exec("DELETE FROM "+of+in, args...); err != nil {
						return err
					}
				}
			}
			forgotten = len(gone)
			return t.ForgetPeople(gone...)
		})
		if err != nil {
			return n, wrap("forget", err)
		}
		n += int64(forgotten)
	}
	return n, nil
}

// keptOf returns which of these persons something other than a check-in keeps.
func keptOf(t store.Tx, all []qrgate.Person) (map[qrgate.Person]bool, error) {
	kept := map[qrgate.Person]bool{}
	in, args := inPersons(all)
	for _, table := range keepers {
		err := t.Each(func(rows *sql.Rows) error {
			var p int64
			err := rows.Scan(&p)
			kept[qrgate.Person(p)] = true
			return err
		}, "SELECT person FROM "+table+" WHERE person"+in, args...)
		if err != nil {
			return nil, err
		}
	}
	return kept, nil
}

func inPersons(all []qrgate.Person) (string, []any) {
	args := make([]any, len(all))
	for i, p := range all {
		args[i] = int64(p)
	}
	if len(args) == 0 {
		return "", nil
	}
	return " IN (?" + strings.Repeat(", ?", len(args)-1) + ")", args
}
