package fleet

import (
	"context"
	"database/sql"
	"time"

	judge "github.com/qrgate/qrgate/server/fleet"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
)

// Looking are the roles whose holders may know of the kiosks within their scope.
var Looking = []qrgate.Role{qrgate.Operator, qrgate.Administrator, qrgate.SectorOfficer, qrgate.AreaOfficer, qrgate.Owner, qrgate.Staff}

// subscriptionsKept is how many one account may have.
const subscriptionsKept = 20

// Subscribe keeps a subscription and gives it an id, which it sets in s. It is
// qrgate.ErrConflict if the account has too many, or has the same.
func (f *Fleet) Subscribe(ctx context.Context, s *judge.Subscription) error {
	s.ID, s.Made = store.NewID(), f.now().Truncate(time.Millisecond)
	err := f.s.Write(ctx, func(t store.Tx) error {
		n, err := t.Exec(`INSERT INTO fleet_subscriptions (id, account, scope, address, grave, made)
			SELECT CAST(? AS TEXT), id, CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS BIGINT), CAST(? AS BIGINT) FROM accounts a
			WHERE id = ? AND (SELECT COUNT(*) FROM fleet_subscriptions o WHERE o.account = a.id) < ?
				AND NOT EXISTS (SELECT 1 FROM fleet_subscriptions o WHERE o.account = a.id AND o.scope = ? AND o.address = ?)`,
			s.ID, s.Scope.String(), s.Address, flag(s.Grave), s.Made.UnixMilli(), s.Account, subscriptionsKept, s.Scope.String(), s.Address)
		if err == nil && n == 0 {
			err = qrgate.ErrConflict
		}
		if err != nil {
			return err
		}
		return t.Audit(s.Account, "subscribe to alarms", "subscription "+s.ID, s.Scope.String())
	})
	return wrap("subscribe", err)
}

// Unsubscribe ends a subscription of an account, with what waits to be posted.
func (f *Fleet) Unsubscribe(ctx context.Context, account, id string) error {
	err := f.s.Write(ctx, func(t store.Tx) error {
		n, err := t.Exec("DELETE FROM fleet_subscriptions WHERE id = ? AND account = ?", id, account)
		if err == nil && n == 0 {
			err = qrgate.ErrNotFound
		}
		if err == nil {
			_, err = t.Exec("DELETE FROM fleet_posts WHERE subscription = ?", id)
		}
		if err != nil {
			return err
		}
		return t.Audit(account, "unsubscribe from alarms", "subscription "+id, "")
	})
	return wrap("unsubscribe", err)
}

const subscriptionColumns = "SELECT s.id, s.account, s.scope, s.address, CASE WHEN a.confirmed = 1 THEN a.email ELSE '' END, s.grave, s.made FROM fleet_subscriptions s JOIN accounts a ON a.id = s.account WHERE "

func (f *Fleet) subscriptions(ctx context.Context, where string, args ...any) ([]judge.Subscription, error) {
	var all []judge.Subscription
	err := f.s.Read(ctx, func(r *sql.Rows) error {
		var s judge.Subscription
		var scope string
		var made int64
		if err := r.Scan(&s.ID, &s.Account, &scope, &s.Address, &s.Email, &s.Grave, &made); err != nil {
			return err
		}
		s.Made = at(made)
		var err error
		s.Scope, err = qrgate.ParseScope(scope)
		all = append(all, s)
		return err
	}, subscriptionColumns+where, args...)
	return all, wrap("subscriptions", err)
}

// accountActive is the state of an account that may sign in, as package register
// has it.
const accountActive = 1

// Subscriptions returns those of accounts that may sign in and still hold a role
// within the scope.
func (f *Fleet) Subscriptions(ctx context.Context) ([]judge.Subscription, error) {
	args := []any{int64(accountActive)}
	marks := ""
	for i, role := range Looking {
		if i > 0 {
			marks += ", "
		}
		marks += "?"
		args = append(args, string(role))
	}
	return f.subscriptions(ctx, `a.state = ? AND EXISTS (SELECT 1 FROM grants g WHERE g.account = s.account AND g.scope = s.scope AND g.role IN (`+marks+`)) ORDER BY s.id`, args...)
}

// SubscriptionsOf returns those of an account.
func (f *Fleet) SubscriptionsOf(ctx context.Context, account string) ([]judge.Subscription, error) {
	return f.subscriptions(ctx, "s.account = ? ORDER BY s.made", account)
}

// Posts returns at most n posts that are due, the oldest first.
func (f *Fleet) Posts(ctx context.Context, now time.Time, n int) ([]judge.Post, error) {
	var all []judge.Post
	err := f.s.Read(ctx, func(r *sql.Rows) error {
		var p judge.Post
		var made, due int64
		err := r.Scan(&p.ID, &p.Subscription, &p.Address, &p.Body, &made, &due, &p.Tries)
		p.Made, p.Due = at(made), at(due)
		all = append(all, p)
		return err
	}, `SELECT p.id, p.subscription, s.address, p.body, p.made, p.due, p.tries FROM fleet_posts p JOIN fleet_subscriptions s ON s.id = p.subscription
		WHERE p.due <= ? ORDER BY p.due, p.id LIMIT ?`, now.UnixMilli(), n)
	return all, wrap("posts", err)
}

// Again makes a post due later.
func (f *Fleet) Again(ctx context.Context, id string, due time.Time) error {
	return wrap("post again", f.s.Write(ctx, func(t store.Tx) error {
		_, err := t.Exec("UPDATE fleet_posts SET due = ?, tries = tries + 1 WHERE id = ?", due.UnixMilli(), id)
		return err
	}))
}

// Done drops a post.
func (f *Fleet) Done(ctx context.Context, id string) error {
	return wrap("post done", f.s.Write(ctx, func(t store.Tx) error {
		_, err := t.Exec("DELETE FROM fleet_posts WHERE id = ?", id)
		return err
	}))
}

var (
	_ judge.Keeper    = (*Fleet)(nil)
	_ judge.Historian = (*Fleet)(nil)
	_ judge.Outbox    = (*Fleet)(nil)
)
