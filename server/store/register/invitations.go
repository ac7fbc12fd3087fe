package register

import (
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
)

// InvitationFor is how long an invitation waits for whoever got it.
const InvitationFor = 7 * 24 * time.Hour

// An Invitation makes whoever holds its link a member of an organisation, once,
// as long as its maker is an owner there.
type Invitation struct {
	ID           string // the link's hash in hex, which opens nothing
	Organisation string
	Role         qrgate.Role
	Note         string // for whom it is, as the maker wrote it
	By           string // account that made it
	Made, Until  time.Time
}

// Invite keeps an invitation under its link's hash.
func (r *Register) Invite(ctx context.Context, by string, hash []byte, organisation string, role qrgate.Role, note string) error {
	if !role.OfOrganisation() {
		return fmt.Errorf("register: invite as %s: %w", role, qrgate.ErrInvalid)
	}
	now := r.now()
	err := r.s.Write(ctx, func(t store.Tx) error {
		_, err := t.Exec("INSERT INTO invitations (hash, organisation, role, note, made_by, made, until) VALUES (?, ?, ?, ?, ?, ?, ?)",
			hash, organisation, string(role), note, by, now.UnixMilli(), now.Add(InvitationFor).UnixMilli())
		if err != nil {
			return err
		}
		return t.Audit(by, "invite", "organisation "+organisation, string(role))
	})
	if err != nil {
		return fmt.Errorf("register: invite: %w", err)
	}
	return nil
}

// Invitations returns an organisation's invitations that wait, the newest first.
func (r *Register) Invitations(ctx context.Context, organisation string) ([]Invitation, error) {
	all, err := r.invitations(ctx, "organisation = ?", organisation)
	if err != nil {
		return nil, fmt.Errorf("register: invitations: %w", err)
	}
	return all, nil
}

// Invitation returns the invitation whose link has this hash, or
// [qrgate.ErrNotFound] if it was used, taken back, waited too long or is of
// somebody who is no owner any more.
func (r *Register) Invitation(ctx context.Context, hash []byte) (*Invitation, error) {
	all, err := r.invitations(ctx, "hash = ?", hash)
	if err == nil && len(all) == 0 {
		err = qrgate.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("register: invitation: %w", err)
	}
	return &all[0], nil
}

// invited leaves of invitations those whose maker is an owner who can sign in: one
// who was removed must not come back by a link that they made before.
const invited = ` AND EXISTS (SELECT 1 FROM grants g JOIN accounts a ON a.id = g.account WHERE g.account = made_by AND g.role = 'owner'
	AND g.scope = 'organisation:' || organisation AND a.state = 1)`

func (r *Register) invitations(ctx context.Context, where string, arg any) ([]Invitation, error) {
	var all []Invitation
	err := r.s.Read(ctx, func(rows *sql.Rows) error {
		var i Invitation
		var hash []byte
		var role string
		if err := rows.Scan(&hash, &i.Organisation, &role, &i.Note, &i.By, (*store.Milli)(&i.Made), (*store.Milli)(&i.Until)); err != nil {
			return err
		}
		i.ID, i.Role = hex.EncodeToString(hash), qrgate.Role(role)
		all = append(all, i)
		return nil
	}, "SELECT hash, organisation, role, note, made_by, made, until FROM invitations WHERE "+where+" AND until > ?"+invited+" ORDER BY made DESC, hash", arg, r.now().UnixMilli())
	return all, err
}

// TakeBack ends an invitation of an organisation before anybody used it.
func (r *Register) TakeBack(ctx context.Context, by, organisation, id string) error {
	hash, err := hex.DecodeString(id)
	if err != nil {
		return fmt.Errorf("register: take back invitation: %w", qrgate.ErrNotFound)
	}
	err = r.s.Write(ctx, func(t store.Tx) error {
		n, err := t.Exec("DELETE FROM invitations WHERE hash = ? AND organisation = ?", hash, organisation)
		if err == nil && n == 0 {
			err = qrgate.ErrNotFound
		}
		if err != nil {
			return err
		}
		return t.Audit(by, "take back invitation", "organisation "+organisation, "")
	})
	if err != nil {
		return fmt.Errorf("register: take back invitation: %w", err)
	}
	return nil
}

// Accept makes an account a member as the invitation says whose link has this
// hash, and returns that invitation. A link works once.
func (r *Register) Accept(ctx context.Context, account string, hash []byte) (*Invitation, error) {
	i, err := r.Invitation(ctx, hash)
	if err != nil {
		return nil, err
	}
	err = r.s.Write(ctx, func(t store.Tx) error {
		// An owner may be parted with at this moment.
		if err := t.Lock("grants"); err != nil {
			return err
		}
		n, err := t.Exec("DELETE FROM invitations WHERE hash = ? AND until > ?"+invited, hash, r.now().UnixMilli())
		if err == nil && n == 0 {
			err = qrgate.ErrNotFound
		}
		if err != nil {
			return err
		}
		if err := r.giveRole(t, i.By, account, i.Organisation, i.Role); err != nil {
			return err
		}
		return t.Audit(account, "accept invitation", "organisation "+i.Organisation, string(i.Role))
	})
	if err != nil {
		return nil, fmt.Errorf("register: accept invitation: %w", err)
	}
	return i, nil
}
