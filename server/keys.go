package main

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/qrgate/qrgate/server/enrol"
	"github.com/qrgate/qrgate/server/print"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/vault"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

// initFlags makes the command that prepares a new server.
func initFlags(f *flag.FlagSet) func(context.Context, environment) error {
	root := f.String("root", "", "new `file` for the root's private key; take it off this machine (default root.key in the state directory)")
	return func(ctx context.Context, env environment) error {
		c := env.config
		if len(env.args) != 0 {
			return fmt.Errorf("%w: init takes no arguments", errUsage)
		}
		if *root == "" {
			*root = filepath.Join(c.State, "root.key")
		}
		if err := os.MkdirAll(c.State, 0o700); err != nil {
			return err
		}
		// Kiosks would not know the keys that are made for it here.
		if err := withStore(ctx, c, func(s *store.Store) error { return s.Empty(ctx) }); errors.Is(err, qrgate.ErrConflict) {
			return fmt.Errorf("%w; this is no new server: put back what was kept of its keys (%s)", err, strings.Join([]string{c.Master, c.keysDir(), c.daysDir()}, ", "))
		} else if err != nil {
			return err
		}
		master, err := vault.ReadMaster(c.Master)
		if errors.Is(err, fs.ErrNotExist) {
			master = vault.NewMaster()
			err = master.Write(c.Master)
		}
		if err != nil {
			return err
		}
		if err := vault.Init(vault.Dir(c.daysDir()), master); err != nil {
			return err
		}
		if err := enrol.Init(c.keysDir(), master, *root, time.Now()); err != nil {
			return err
		}
		_, _, ca, err := loadKeys(c)
		if err != nil {
			return err
		}
		if _, err := writeTLS(c, ca); err != nil {
			return err
		}
		fmt.Fprintf(env.out, "New server in %s.\n\nCopy these two files to two different places, none of them this machine:\n  %s  wraps every key; the server needs it to start, so it stays here too\n  %s  signs the list of keys; needed only to change keys, so then take it off this machine\n", c.State, c.Master, *root)
		return nil
	}
}

// loadKeys opens the server's own keys and its CA.
func loadKeys(c Config) (vault.Master, *enrol.Keys, *enrol.CA, error) {
	master, err := vault.ReadMaster(c.Master)
	if errors.Is(err, fs.ErrNotExist) {
		return master, nil, nil, fmt.Errorf("%w; run qrgate-server init for a new server, or put back what was kept of this file", err)
	}
	if err != nil {
		return master, nil, nil, err
	}
	keys, err := enrol.Load(c.keysDir(), master)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w; put back what was kept of %s", err, c.keysDir())
	}
	if err != nil {
		return master, nil, nil, err
	}
	ca, err := keys.CA()
	return master, keys, ca, err
}

func kioskFlags(f *flag.FlagSet) func(context.Context, environment) error {
	place := f.String("place", "", "`name` of the place where the kiosk stands")
	number := f.Uint("place-number", 0, "`number` under which the place is registered")
	out := f.String("out", "", "`directory` for the kiosk's identity (default ID)")
	wipe := f.Bool("wipe", false, "with revoke: the kiosk forgets who it is, and all that it has not delivered, when it next asks")
	count := f.Uint("count", 0, "add so `many` kiosks for simulation, called ID and a number; ID begins with "+simulatedPrefix)
	return func(ctx context.Context, env environment) error {
		if len(env.args) == 0 {
			return fmt.Errorf("%w: say add, move, list, revoke or reinstate", errUsage)
		}
		if *number > math.MaxUint32 {
			return fmt.Errorf("%w: no place has the number %d", errUsage, *number)
		}
		at := store.Where{No: uint32(*number), Name: *place}
		var do func(*store.Store) error
		switch verb, args := env.args[0], env.args[1:]; {
		case verb == "list" && len(args) == 0:
			do = func(s *store.Store) error { return listKiosks(ctx, env, s) }
		case verb == "add" && len(args) == 1 && *place != "" && *count > 0:
			if *out == "" {
				return fmt.Errorf("%w: -count needs -out, a directory for all identities", errUsage)
			}
			do = func(s *store.Store) error { return addSimulated(ctx, env, s, args[0], *count, at, *out) }
		case verb == "add" && len(args) == 1 && *place != "":
			if *out == "" {
				*out = args[0]
			}
			do = func(s *store.Store) error { return addKiosk(ctx, env, s, args[0], at, *out) }
		case verb == "move" && len(args) == 1 && *place != "":
			do = func(s *store.Store) error { return s.MoveKiosk(ctx, args[0], at) }
		case verb == "revoke" && len(args) > 0:
			do = func(s *store.Store) error { return enrolments(env.config, s).Revoke(ctx, "", *wipe, args...) }
		case verb == "reinstate" && len(args) == 1:
			do = func(s *store.Store) error { return enrolments(env.config, s).Reinstate(ctx, "", args[0]) }
		default:
			return fmt.Errorf("%w: kiosk add ID -place NAME [-place-number N] [-out DIR] [-count N] | move ID -place NAME [-place-number N] | list | revoke [-wipe] ID... | reinstate ID", errUsage)
		}
		return withStore(ctx, env.config, do)
	}
}

// addKiosk gives a kiosk that is set up by hand its identity.
func addKiosk(ctx context.Context, env environment, s *store.Store, id string, at store.Where, dir string) error {
	if !wire.ValidKiosk(id) {
		return fmt.Errorf("%w: a kiosk's id is 8 to 40 of a-z, 0-9 and hyphen, not %q", errUsage, id)
	}
	_, keys, ca, err := loadKeys(env.config)
	if err != nil {
		return err
	}
	bundle, k, err := newKiosk(keys, ca, id, at)
	if err != nil {
		return err
	}
	if err := bundle.Write(dir); err != nil {
		return err
	}
	if err := s.AddKiosk(ctx, k); err != nil {
		return err
	}
	fmt.Fprintf(env.out, "%s\n", dir)
	return nil
}

// newKiosk makes the identity and the row of a kiosk.
func newKiosk(keys *enrol.Keys, ca *enrol.CA, id string, at store.Where) (enrol.Bundle, qrgate.Kiosk, error) {
	now := time.Now()
	bundle, err := keys.NewBundle(ca, id, now)
	if err != nil {
		return enrol.Bundle{}, qrgate.Kiosk{}, err
	}
	return bundle, qrgate.Kiosk{
		ID: id, Place: at.Name, PlaceNo: at.No, Public: bundle.Key.Public().(ed25519.PublicKey), State: qrgate.KioskActive, Added: now,
	}, nil
}

// simulatedPrefix begins the names of kiosks that are not there, so that nobody takes
// one for a door.
const simulatedPrefix = "sim-"

// maxSimulated is more than one machine can pretend to be.
const maxSimulated = 99_999

// addSimulated gives identities to kiosks of a simulation, each in a directory of its
// own below dir.
func addSimulated(ctx context.Context, env environment, s *store.Store, prefix string, count uint, at store.Where, dir string) error {
	name := func(n uint) string { return fmt.Sprintf("%s%05d", prefix, n) }
	if !strings.HasPrefix(prefix, simulatedPrefix) || count > maxSimulated || !wire.ValidKiosk(name(count)) {
		return fmt.Errorf("%w: simulated kiosks are called %s and more of a-z, 0-9 and hyphen, and are at most %d", errUsage, simulatedPrefix, maxSimulated)
	}
	_, keys, ca, err := loadKeys(env.config)
	if err != nil {
		return err
	}
	all := make([]qrgate.Kiosk, 0, count)
	for n := uint(1); n <= count; n++ {
		bundle, k, err := newKiosk(keys, ca, name(n), at)
		if err != nil {
			return err
		}
		if err := bundle.WriteQuickly(filepath.Join(dir, name(n))); err != nil {
			return err
		}
		all = append(all, k)
	}
	if err := s.AddKiosks(ctx, all); err != nil {
		return err
	}
	fmt.Fprintf(env.out, "%s: %d kiosks of a simulation\n", dir, count)
	return nil
}

func listKiosks(ctx context.Context, env environment, s *store.Store) error {
	kiosks, err := s.Kiosks(ctx)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(env.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "KIOSK\tSTATE\tADDED\tNUMBER\tVOID CARDS\tCHECKED\tPLACE")
	for _, k := range kiosks {
		list, checked := "-", "-"
		if k.Beat != nil && k.Beat.List != nil {
			l := k.Beat.List
			list = fmt.Sprintf("%d (version %d)", l.Cards, l.Stamp.Version)
			if l.Checked > 0 {
				checked = time.UnixMilli(l.Checked).In(qrgate.Zone).Format("2006-01-02 15:04")
			}
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\t%s\n", k.ID, k.State, k.Added.In(qrgate.Zone).Format(time.DateOnly), k.PlaceNo, list, checked, k.Place)
	}
	return w.Flush()
}

func cardFlags(f *flag.FlagSet) func(context.Context, environment) error {
	number := f.Uint("number", 0, "the card's `number`, from 1")
	issue := f.Uint("issue", 1, "rises each time the card is replaced")
	kind := f.String("kind", "card", "kind of card: card, family, staff, test")
	count := f.Uint("count", 1, "`how many` cards, with numbers from -number on")
	first := f.String("first", "", "first `day` of validity, as 2026-11-30 (default today)")
	days := f.Int("days", 365, "`days` of validity from the first on")
	picture := f.String("png", "", "write the code as an image to this `file`")
	return func(_ context.Context, env environment) error {
		k, err := pass.ParseKind(*kind)
		switch {
		case err != nil:
			return fmt.Errorf("%w: %w", errUsage, err)
		case *number == 0 || *number > 1<<32-1 || *count == 0 || *count > 1<<32-*number || *issue > 255 || *days < 1 || *days > 3650:
			return fmt.Errorf("%w: -number from 1, -issue up to 255, -days 1 to 3650", errUsage)
		case *picture != "" && *count != 1:
			return fmt.Errorf("%w: -png is for one card", errUsage)
		}
		keys, err := issuers(env.config)
		if err != nil {
			return err
		}
		now := time.Now()
		from := now
		if *first != "" {
			if from, err = time.ParseInLocation(time.DateOnly, *first, qrgate.Zone); err != nil {
				return fmt.Errorf("%w: -first: %w", errUsage, err)
			}
		}
		id, key, err := keys.Signer(wire.ForCard, now)
		if err != nil {
			return err
		}
		out := bufio.NewWriter(env.out)
		for n := *number; n < *number+*count; n++ {
			text, err := pass.Sign(pass.OwnCard{
				Kind: k, Key: uint8(id), Number: uint32(n), Issue: uint8(*issue),
				First: pass.DayOf(from), Last: pass.DayOf(from.AddDate(0, 0, *days)),
			}, key)
			if err != nil {
				return err
			}
			if *picture != "" {
				if err := writeCode(*picture, text); err != nil {
					return err
				}
			}
			fmt.Fprintln(out, text)
		}
		return out.Flush()
	}
}

func writeCode(path, text string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := print.Code(f, text); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
