package retention

import (
	"context"
	"errors"
	"fmt"

	"github.com/qrgate/qrgate/server/area"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/rights"
	"github.com/qrgate/qrgate/server/vault"
)

// Object does what somebody's objection asks for besides that their data is not
// used any more: their cards open no door and invitations are taken back. by is
// the account that does it. It can be called again if it fails.
func (k *Keeper) Object(ctx context.Context, by string, p qrgate.Person) error {
	if err := k.object(ctx, by, p); err != nil {
		return fmt.Errorf("retention: objection: %w", err)
	}
	return nil
}

func (k *Keeper) object(ctx context.Context, by string, p qrgate.Person) error {
	if err := k.revokeCards(ctx, by, p); err != nil || k.Uninvite == nil {
		return err
	}
	known, err := k.Register.Cards(k.Vault).DetailsOf(ctx, p)
	if err != nil || known[p] == nil {
		return err
	}
	return k.Uninvite(ctx, by, func(name, phone string) bool { return meant(known[p].Name, known[p].Phone, name, phone) })
}

// meant reports whether an invitation is for somebody: organisers know a name and a
// telephone, which a family may share.
func meant(name, phone, invited, at string) bool {
	return phone != "" && phone == at && area.Fold(name) == area.Fold(invited)
}

// Silent returns what reports whether somebody has objected, so that nothing is
// sent to them.
func (k *Keeper) Silent(ctx context.Context) (func(name, phone string) bool, error) {
	restrained, err := k.Rights.Restrained(ctx)
	if err != nil {
		return nil, fmt.Errorf("retention: objections: %w", err)
	}
	var objected []qrgate.Person
	for p, kind := range restrained {
		if kind == rights.Objection {
			objected = append(objected, p)
		}
	}
	known, err := k.Register.Cards(k.Vault).DetailsOf(ctx, objected...)
	if err != nil {
		return nil, fmt.Errorf("retention: objections: %w", err)
	}
	return func(name, phone string) bool {
		for _, d := range known {
			if d != nil && meant(d.Name, d.Phone, name, phone) {
				return true
			}
		}
		return false
	}, nil
}

// Unused returns those whose data is kept and not used, as the check-ins of a day
// hold them: what is counted leaves them out.
func (k *Keeper) Unused(ctx context.Context, day qrgate.Day) (map[qrgate.Subject]bool, error) {
	restrained, err := k.Rights.Restrained(ctx)
	if err != nil {
		return nil, fmt.Errorf("retention: restrained: %w", err)
	}
	all := make(map[qrgate.Subject]bool, len(restrained))
	for p := range restrained {
		s, err := k.Vault.Subject(day, p)
		if errors.Is(err, vault.ErrShredded) || errors.Is(err, vault.ErrDay) {
			return nil, nil // nobody's any more
		}
		if err != nil {
			return nil, fmt.Errorf("retention: restrained: %w", err)
		}
		all[s] = true
	}
	return all, nil
}
