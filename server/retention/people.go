package retention

import (
	"context"
	"errors"
	"slices"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/vault"
)

// sweepEvery is how often people are looked for whom nothing keeps any more, when
// no day was dropped.
const sweepEvery = 24 * 3600 * 1000 // milliseconds

// sweep forgets the people whom only check-ins kept that are dropped by now. It
// finds them by what is left, not by what was dropped: so it also finds those of a
// day whose key is gone, which a backup has brought back.
func (k *Keeper) sweep(ctx context.Context, dropped []qrgate.Day) error {
	if len(dropped) == 0 && !k.sweepDue() {
		return nil
	}
	loose := map[qrgate.Person]struct{}{}
	err := k.Rights.Loose(ctx, func(p qrgate.Person) error { loose[p] = struct{}{}; return nil })
	if err != nil {
		return err
	}
	if k.Needed != nil {
		if err := k.Needed(ctx, func(p qrgate.Person) { delete(loose, p) }); err != nil {
			return err
		}
	}
	days, err := k.Store.Days(ctx)
	if err != nil {
		return err
	}
	for _, day := range days {
		if len(loose) == 0 {
			break
		}
		err := k.Store.SubjectsOn(ctx, day, func(s qrgate.Subject) error {
			p, err := k.Vault.Person(day, s)
			if errors.Is(err, vault.ErrShredded) || errors.Is(err, vault.ErrSubject) || errors.Is(err, qrgate.ErrNotFound) {
				return nil // it is nobody's any more
			}
			delete(loose, p)
			return err
		})
		if err != nil {
			return err
		}
		if _, err := k.Rights.Lease(ctx, leaseOf, k.o.Server, leaseFor); err != nil {
			return err
		}
	}
	gone := make([]qrgate.Person, 0, len(loose))
	for p := range loose {
		gone = append(gone, p)
	}
	n, err := k.forget(ctx, gone)
	if n > 0 {
		k.dirty.Store(true)
		k.Log.Info("people forgotten", "n", n)
	}
	if err == nil && len(dropped) > 0 {
		err = k.Rights.AddDropped(ctx, dropped[len(dropped)-1], 0, 0, n)
	}
	if err == nil {
		k.swept.Store(k.o.Now().UnixMilli())
	}
	return err
}

// forgetAtOnce is how many people are forgotten before the days that have a key are
// looked up again.
const forgetAtOnce = 2000

func (k *Keeper) forget(ctx context.Context, all []qrgate.Person) (n int64, err error) {
	for some := range slices.Chunk(all, forgetAtOnce) {
		of, err := k.subjectsOf()
		if err != nil {
			return n, err
		}
		gone, err := k.Rights.Forget(ctx, some, of)
		if n += gone; err != nil {
			return n, err
		}
		if _, err := k.Rights.Lease(ctx, leaseOf, k.o.Server, leaseFor); err != nil {
			return n, err
		}
	}
	return n, nil
}

func (k *Keeper) sweepDue() bool { return k.o.Now().UnixMilli()-k.swept.Load() >= sweepEvery }

// subjects returns a person as each day that has a key holds them.
func (k *Keeper) subjects(p qrgate.Person) (map[qrgate.Day]qrgate.Subject, error) {
	of, err := k.subjectsOf()
	if err != nil {
		return nil, err
	}
	return of(p)
}

// subjectsOf returns subjects for many persons: which days have a key is looked up
// once, for that reads every key's file.
func (k *Keeper) subjectsOf() (func(qrgate.Person) (map[qrgate.Day]qrgate.Subject, error), error) {
	days, err := k.Vault.Days()
	if err != nil {
		return nil, err
	}
	// Those that may get their first key at any moment, too.
	today := qrgate.DayOf(k.o.Now())
	for _, day := range []qrgate.Day{today, today + 1} {
		if !slices.Contains(days, day) {
			days = append(days, day)
		}
	}
	return func(p qrgate.Person) (map[qrgate.Day]qrgate.Subject, error) {
		all := map[qrgate.Day]qrgate.Subject{}
		for _, day := range days {
			s, err := k.Vault.Subject(day, p)
			if errors.Is(err, vault.ErrShredded) || errors.Is(err, vault.ErrDay) || errors.Is(err, vault.ErrLost) {
				continue
			}
			if err != nil {
				return nil, err
			}
			all[day] = s
		}
		return all, nil
	}, nil
}
