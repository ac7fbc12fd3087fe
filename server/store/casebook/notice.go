package casebook

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
)

// A Kind is what a notice says.
type Kind string

// The kinds of notice.
const (
	ToApprove   Kind = "to_approve"   // to approvers: a case waits for them
	Decided     Kind = "decided"      // to who opened it: it was approved or refused
	GlassBroken Kind = "glass_broken" // to data-protection officers: somebody looked without approval
	// To data-protection officers: a case uses data whose use was restricted.
	RestrictedUsed Kind = "restricted_used"
	Reviewed       Kind = "reviewed"      // to who broke the glass: it was reviewed
	LateCheckins   Kind = "late_checkins" // to its officers: check-ins came that its last run did not know
	Different      Kind = "different"     // to its officers: the server traced again and found something else
	Wider          Kind = "wider"         // to its officers: the traced person is somebody else too, as another case says
)

// A Notice tells somebody of a case. It names no person, so that it may be mailed.
type Notice struct {
	ID      string
	Account string // who is told
	Case    string // id
	Number  string // of the case
	Kind    Kind
	At      time.Time
	Seen    time.Time // zero until it was
}

// tell leaves a notice for accounts.
func (b *Book) tell(t store.Tx, id string, kind Kind, accounts ...string) error {
	told := map[string]bool{"": true}
	for _, a := range accounts {
		if told[a] {
			continue
		}
		told[a] = true
		_, err := t.Exec("INSERT INTO case_notices (id, account, case_id, kind, made) VALUES (?, ?, ?, ?, ?)", store.NewID(), a, id, string(kind), b.now().UnixMilli())
		if err != nil {
			return err
		}
	}
	return nil
}

// workers returns who works on a case: who opened it, and who has traced it.
func (b *Book) workers(t store.Tx, f *file) ([]string, error) {
	all := []string{f.OpenedBy}
	err := t.Each(func(rows *sql.Rows) error {
		by := ""
		err := rows.Scan(&by)
		all = append(all, by)
		return err
	}, "SELECT DISTINCT made_by FROM case_runs WHERE case_id = ? ORDER BY made_by", f.ID)
	return all, err
}

// Notices returns the latest notices for an account, or only those that it has not
// seen.
func (b *Book) Notices(ctx context.Context, account string, unseen bool, most int) ([]Notice, error) {
	where := "n.account = ?"
	if unseen {
		where += " AND n.seen IS NULL"
	}
	all, err := b.notices(ctx, where+" ORDER BY n.made DESC, n.id LIMIT ?", account, most)
	if err != nil {
		return nil, fmt.Errorf("casebook: notices: %w", err)
	}
	return all, nil
}

// SeeNotices marks an account's notices of a case as seen.
func (b *Book) SeeNotices(ctx context.Context, account, id string) error {
	return b.write(ctx, "see notices", func(t store.Tx) error {
		_, err := t.Exec("UPDATE case_notices SET seen = ? WHERE account = ? AND case_id = ? AND seen IS NULL", b.now().UnixMilli(), account, id)
		return err
	})
}

// Unmailed returns the oldest notices of which nobody was told by mail yet.
func (b *Book) Unmailed(ctx context.Context, most int) ([]Notice, error) {
	all, err := b.notices(ctx, "n.mailed IS NULL ORDER BY n.made, n.id LIMIT ?", most)
	if err != nil {
		return nil, fmt.Errorf("casebook: unmailed: %w", err)
	}
	return all, nil
}

// Mailed marks notices as mailed, or as what cannot be. It returns those that were
// not before, so that of several servers one mails.
func (b *Book) Mailed(ctx context.Context, ids ...string) (mine []string, err error) {
	err = b.write(ctx, "mailed", func(t store.Tx) error {
		mine = nil
		for _, id := range ids {
			n, err := t.Exec("UPDATE case_notices SET mailed = ? WHERE id = ? AND mailed IS NULL", b.now().UnixMilli(), id)
			if err != nil {
				return err
			}
			if n > 0 {
				mine = append(mine, id)
			}
		}
		return nil
	})
	return mine, err
}

func (b *Book) notices(ctx context.Context, where string, args ...any) (all []Notice, err error) {
	err = b.s.Read(ctx, func(rows *sql.Rows) error {
		var n Notice
		var year, no int
		err := rows.Scan(&n.ID, &n.Account, &n.Case, &n.Kind, (*store.Milli)(&n.At), (*store.Milli)(&n.Seen), &year, &no)
		n.Number = numberOf(year, no)
		all = append(all, n)
		return err
	}, "SELECT n.id, n.account, n.case_id, n.kind, n.made, n.seen, c.year, c.no FROM case_notices n JOIN cases c ON c.id = n.case_id WHERE "+where, args...)
	return all, err
}

func orEnded(err error) error {
	if err == nil {
		err = ErrEnded
	}
	return err
}

// ended reports whether an error says that a case is no longer there to be watched.
func ended(err error) bool {
	return errors.Is(err, ErrEnded) || errors.Is(err, ErrApproval) || errors.Is(err, ErrRestrained) || errors.Is(err, qrgate.ErrNotFound) || errors.Is(err, ErrChanged) || errors.Is(err, ErrOutdated)
}
