package store

import (
	"database/sql"
	"fmt"
	"strings"

	"github.com/qrgate/qrgate/server/qrgate"
)

// Seen sets to true those of the subjects of some days that have a check-in. After
// ForgetPeople, which may be called without any, no intake is under way that could
// store another one before the transaction ends.
func (t Tx) Seen(subjects map[qrgate.Day]map[qrgate.Subject]bool) error {
	for d, of := range subjects {
		args := []any{int64(d)}
		ask := func() error {
			if len(args) == 1 {
				return nil
			}
			err := t.Each(func(r *sql.Rows) error {
				var b sql.RawBytes
				var s qrgate.Subject
				err := r.Scan(&b)
				copy(s[:], b)
				of[s] = true
				return err
			}, "SELECT DISTINCT subject FROM subjects WHERE day = ? AND subject IN (?"+strings.Repeat(", ?", len(args)-2)+")", args...)
			args = args[:1]
			return err
		}
		for s := range of {
			if args = append(args, append([]byte(nil), s[:]...)); len(args) > seenAtOnce {
				if err := ask(); err != nil {
					return fmt.Errorf("store: seen: %w", err)
				}
			}
		}
		if err := ask(); err != nil {
			return fmt.Errorf("store: seen: %w", err)
		}
	}
	if t.t.s.dialect == postgres {
		return nil
	}
	err := t.t.each(func(r *sql.Rows) error {
		var rows []byte
		if err := r.Scan(&rows); err != nil {
			return err
		}
		return decode(rows, func(c *checkin) {
			if of := subjects[qrgate.Day(c.n[day])]; of != nil && c.known {
				if _, asked := of[c.subject]; asked {
					of[c.subject] = true
				}
			}
		})
	}, "SELECT rows FROM arrivals")
	return wrap("store: seen", err)
}

// seenAtOnce is how many subjects one query asks about.
const seenAtOnce = 500
