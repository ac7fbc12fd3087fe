package retention

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/area"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/rights"
	"github.com/qrgate/qrgate/server/vault"
)

// Object does what somebody's objection asks for besides that their data is not
// used any more: their cards open no door and invitations are taken back. by is
// the account that does it. It can be called again if it fails.
func (k *Keeper) Object(ctx context.Context, by string, of Identities) error {
	for _, p := range of.Persons() {
		if err := k.object(ctx, by, p); err != nil {
			return fmt.Errorf("retention: objection: %w", err)
		}
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
		if errors.Is(err, vault.ErrShredded) || errors.Is(err, vault.ErrDay) || errors.Is(err, vault.ErrLost) {
			return nil, nil // nobody's any more
		}
		if err != nil {
			return nil, fmt.Errorf("retention: restrained: %w", err)
		}
		all[s] = true
	}
	return all, nil
}

// A restraintMark is what is remembered, outside of the database, of a request that
// keeps data from being used.
type restraintMark struct {
	Lifted  bool            `json:"lifted,omitempty"` // then it says nothing more
	Persons []qrgate.Person `json:"persons,omitempty"`
	Numbers [][]byte        `json:"numbers,omitempty"` // keyed hashes: kiosks bring back whom the backup did not know, as somebody else
	Kind    rights.Kind     `json:"kind,omitempty"`
	By      string          `json:"by,omitempty"`
	Since   time.Time       `json:"since,omitzero"`
	// Generation is the database's that knows of it. One that was restored since has
	// another.
	Generation uint64 `json:"database_generation"`
}

// restraintPrefix and the request are the name of such a mark.
const restraintPrefix = "restraint-"

// Restrain has fulfil fulfil a request that keeps the data of somebody, known as these,
// from being used, and remembers it, so that a backup which was made before does not free
// the data.
func (k *Keeper) Restrain(ctx context.Context, by, request string, kind rights.Kind, of []qrgate.Person, fulfil func() error) error {
	m := restraintMark{Persons: of, Kind: kind, By: by, Since: k.o.Now()}
	var err error
	if m.Numbers, err = k.Rights.NumbersOf(ctx, of); err == nil {
		err = k.mark(ctx, request, m)
	}
	if err != nil {
		return fmt.Errorf("retention: restrain: %w", err)
	}
	if err = fulfil(); err == nil {
		return step("retention: restrain", k.forgetRestraints(m, request))
	}
	// Twice at once, and one of them has fulfilled it, is no reason to forget it.
	if standing, failed := k.Rights.Standing(context.WithoutCancel(ctx), request); failed == nil && !standing {
		err = errors.Join(err, k.forgetMark(restraintPrefix+request))
	}
	return err
}

// Lift lets data be used again that a request kept from being used, also if a backup
// is restored which was made before.
func (k *Keeper) Lift(ctx context.Context, by, request string) error {
	if err := k.Rights.Lift(ctx, by, request); err != nil {
		return err
	}
	return step("retention: lift", k.mark(ctx, request, restraintMark{Lifted: true}))
}

// mark remembers what is to be known of a request.
func (k *Keeper) mark(ctx context.Context, request string, m restraintMark) (err error) {
	if m.Generation, err = k.Store.Generation(ctx); err != nil {
		return err
	}
	content, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return k.remember(restraintPrefix+request, content)
}

// eachRestraint calls fn with every mark of a request.
func (k *Keeper) eachRestraint(fn func(request string, m *restraintMark) error) error {
	names, err := k.marks()
	if err != nil {
		return err
	}
	for _, name := range names {
		request, ours := strings.CutPrefix(name, restraintPrefix)
		if !ours || strings.Contains(request, ".") { // one that was being written
			continue
		}
		content, err := os.ReadFile(filepath.Join(k.o.Erased, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // another one of a person has taken its place
		}
		if err != nil {
			return err
		}
		var m restraintMark
		if err := json.Unmarshal(content, &m); err != nil {
			k.Log.Error("mark of a request is damaged", "file", name, "err", err)
			continue
		}
		if err := fn(request, &m); err != nil {
			return err
		}
	}
	return nil
}

// forgetRestraints deletes the marks of what the person of a mark asked for, of its kind
// or of all if it has none, but for one request.
func (k *Keeper) forgetRestraints(of restraintMark, but string) error {
	return k.eachRestraint(func(request string, m *restraintMark) error {
		if request == but || of.Kind != "" && m.Kind != of.Kind || !m.same(of) {
			return nil
		}
		return k.forgetMark(restraintPrefix + request)
	})
}

// same reports whether two marks are of one person, whom a backup may have made
// somebody else.
func (m *restraintMark) same(other restraintMark) bool {
	return slices.ContainsFunc(m.Persons, func(p qrgate.Person) bool { return slices.Contains(other.Persons, p) }) ||
		slices.ContainsFunc(m.Numbers, func(n []byte) bool {
			return slices.ContainsFunc(other.Numbers, func(o []byte) bool { return bytes.Equal(n, o) })
		})
}

func (k *Keeper) forgetMark(name string) error {
	if k.o.Erased == "" {
		return nil
	}
	err := os.Remove(filepath.Join(k.o.Erased, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// restrainAgain does again what was asked for after the backup was made that the
// database was restored from. Whom kiosks bring back, it finds at its next turn.
func (k *Keeper) restrainAgain(ctx context.Context) error {
	generation, err := k.Store.Generation(ctx)
	if err != nil {
		return err
	}
	// What was lifted first: it may hide what was asked for later.
	err = k.eachRestraint(func(request string, m *restraintMark) error {
		if m.Generation == generation || !m.Lifted {
			return nil
		}
		err := k.Rights.Lift(ctx, "", request)
		if errors.Is(err, qrgate.ErrConflict) {
			return nil
		}
		return err
	})
	if err != nil {
		return err
	}
	return k.eachRestraint(func(request string, m *restraintMark) error {
		if m.Generation == generation || m.Lifted {
			return nil
		}
		free, err := k.Rights.Unrestrained(ctx, m.Kind, m.Persons, m.Numbers)
		if err != nil {
			return err
		}
		for _, p := range free {
			if m.Kind == rights.Objection {
				if err := k.object(ctx, "", p); err != nil {
					return err
				}
			}
			if err := k.Rights.RestrainAgain(ctx, rights.Restraint{Person: p, Kind: m.Kind, Since: m.Since, By: m.By, Request: request}); err != nil {
				return err
			}
			k.Log.Info("restrained again", "request", request)
		}
		return nil
	})
}
