package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/qrgate/qrgate/server/durable"
	"github.com/qrgate/qrgate/server/enrol"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/retention"
	"github.com/qrgate/qrgate/server/retention/proof"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/casebook"
	"github.com/qrgate/qrgate/server/store/coverage"
	"github.com/qrgate/qrgate/server/store/events"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/server/store/rights"
	"github.com/qrgate/qrgate/server/store/rooms"
	"github.com/qrgate/qrgate/server/vault"
)

// Guards are what looks after people's data: what drops it in time, and what seals
// the audit rows.
type guards struct {
	store  *store.Store
	rights *rights.Rights
	keeper *retention.Keeper
	sealer *retention.Sealer
}

func newGuards(env environment, s *store.Store, keys *enrol.Keys, days *vault.Vault) (*guards, error) {
	c := env.config
	id, key, err := keys.Witness()
	if err != nil {
		return nil, err
	}
	public, err := keys.Witnesses()
	if err != nil {
		return nil, err
	}
	sign := proof.Signer{ID: id, Key: key}
	g := &guards{store: s, rights: rights.New(s, time.Now)}
	g.sealer = &retention.Sealer{Store: s, Rights: g.rights, Sign: sign, Keys: public, File: c.sealFile(), Log: env.log.With("task", "audit")}
	cases, gatherings := casebook.New(s, days, time.Now), events.New(s, days, time.Now)
	g.keeper = retention.New(retention.Parts{
		Store: s, Rights: g.rights, Register: register.New(s, time.Now), Vault: days, Sign: sign, Log: env.log.With("task", "retention"), Keys: c.copiesIn(c.KeyCopies),
		Selves: cases.Selves, Part: cases.Part, Events: gatherings, Needed: cases.Needed, Uninvite: gatherings.WithdrawWhere, Told: cases.Note,
		Looks: func(ctx context.Context, p qrgate.Person) ([]retention.Look, error) {
			all, err := cases.Looks(ctx, p)
			looks := make([]retention.Look, len(all))
			for i, l := range all {
				looks[i] = retention.Look{At: l.At.In(qrgate.Zone), By: l.By, Action: l.Action, Case: l.Number}
			}
			return looks, err
		},
		Sweeps: map[string]func(context.Context) error{
			"cases":    func(ctx context.Context) error { _, err := cases.Expire(ctx); return err },
			"passages": func(ctx context.Context) error { return coverage.New(s).Prune(ctx, time.Now()) },
			"rooms": func(ctx context.Context) error {
				return rooms.New(s, time.Now).DropEvents(ctx, time.Now().AddDate(0, 0, -1))
			},
			"guests": func(ctx context.Context) error {
				needed := map[qrgate.Person]bool{}
				if err := cases.Needed(ctx, func(p qrgate.Person) { needed[p] = true }); err != nil {
					return err
				}
				return gatherings.Purge(ctx, time.Now().Add(-c.Retention), func(p qrgate.Person) bool { return needed[p] })
			},
		},
	}, retention.Options{
		Days: c.days(), Backups: c.Backups, BackupDays: c.BackupDays, Logs: c.Logs, Copies: c.Copies, Erased: c.erasedDir(), Clock: c.clockFile(),
		Server: c.Client, Controller: c.Controller,
	})
	return g, nil
}

// withGuards opens what a command needs that looks after people's data.
func withGuards(ctx context.Context, env environment, do func(*guards) error) error {
	master, keys, _, err := loadKeys(env.config)
	if err != nil {
		return err
	}
	return withStore(ctx, env.config, func(s *store.Store) error {
		days, err := openVault(env.config, master, s)
		if err != nil {
			return err
		}
		g, err := newGuards(env, s, keys, days)
		if err != nil {
			return err
		}
		return do(g)
	})
}

const retentionUsage = `retention show
        print which days are held, what was dropped, who has not yet confirmed, and whether the clock is believed
  retention run
        drop now what is past its retention; a server does it each hour
  retention certificate DAY [FILE]
        write the newest certificate of a day that was dropped
  retention verify FILE
        say whether a certificate, or the proof of an erasure or an export, is one that this server signed
  retention lost DAY
        say that the key of a day is lost for good: who came so far is known of nobody, until kiosks that still hold it
        bring it again under a new epoch, and the day gets another key
  retention confirm backup ID | kiosk ID | copy NAME DAY
        say that a backup or a kiosk's storage was destroyed, or a copy holds nothing of a day
  retention confirm clock TODAY
        say that the clock of this machine is right, though it is far from what the server knows of the time:
        after a long time without power, or when it was wrong before; TODAY as a calendar says it, such as 2026-11-26`

func retentionCommand(ctx context.Context, env environment) error {
	var do func(*guards) error
	args := env.args
	arg := func(i int) string {
		if i < len(args) {
			return args[i]
		}
		return ""
	}
	switch n := len(args); {
	case n == 1 && args[0] == "show":
		do = func(g *guards) error { return showRetention(ctx, env, g) }
	case n == 1 && args[0] == "run":
		do = func(g *guards) error { return g.keeper.Once(ctx) }
	case (n == 2 || n == 3) && args[0] == "certificate":
		day, err := qrgate.ParseDay(args[1])
		if err != nil {
			return fmt.Errorf("%w: a day is written 2026-11-26, not %q", errUsage, args[1])
		}
		do = func(g *guards) error { return writeCertificate(ctx, env, g, day, arg(2)) }
	case n == 2 && args[0] == "verify":
		return verifyProof(env, args[1])
	case n == 2 && args[0] == "lost":
		day, err := qrgate.ParseDay(args[1])
		if err != nil {
			return fmt.Errorf("%w: a day is written 2026-11-26, not %q", errUsage, args[1])
		}
		do = func(g *guards) error { return giveUp(ctx, env, g, day) }
	case n == 3 && args[0] == "confirm" && args[1] == "backup":
		do = func(g *guards) error { return g.rights.Gone(ctx, "", args[2]) }
	case n == 3 && args[0] == "confirm" && args[1] == "kiosk":
		do = func(g *guards) error { return g.rights.Gone(ctx, "", retention.KioskID(args[2])) }
	case n == 3 && args[0] == "confirm" && args[1] == "clock":
		today, err := qrgate.ParseDay(args[2])
		if err != nil {
			return fmt.Errorf("%w: a day is written 2026-11-26, not %q", errUsage, args[2])
		}
		do = func(g *guards) error { return g.keeper.ConfirmClock(ctx, "", today) }
	case n == 4 && args[0] == "confirm" && args[1] == "copy":
		day, err := qrgate.ParseDay(args[3])
		if err != nil {
			return fmt.Errorf("%w: a day is written 2026-11-26, not %q", errUsage, args[3])
		}
		do = func(g *guards) error { return g.rights.Gone(ctx, "", retention.CopyID(args[2], day)) }
	default:
		return fmt.Errorf("%w: %s", errUsage, retentionUsage)
	}
	return withGuards(ctx, env, do)
}

// giveUp gives a day another key, and says which kiosks may still know who came.
func giveUp(ctx context.Context, env environment, g *guards, day qrgate.Day) error {
	if err := g.keeper.GiveUp(ctx, "", day); err != nil {
		return err
	}
	kiosks, err := g.store.KiosksOf(ctx, day)
	if err == nil && len(kiosks) > 0 {
		fmt.Fprintln(env.out, "Who came that day is known again of each check-in that its kiosk still holds, once it has brought it again: give each of these the order Mở sổ mới (New ledger), at /thiet-bi/KIOSK/lenh")
		for _, id := range kiosks {
			fmt.Fprintln(env.out, id)
		}
	}
	return err
}

// shownDrops is how many days that were dropped are printed.
const shownDrops = 40

func showRetention(ctx context.Context, env environment, g *guards) error {
	state, err := g.keeper.State(ctx, shownDrops)
	if err != nil {
		return err
	}
	if wrong := state.Clock.String(); wrong != "" {
		fmt.Fprintln(env.out, wrong)
	}
	fmt.Fprintf(env.out, "kept: %d days, from %s on\n", state.Days, state.Oldest)
	if n := len(state.Held); n > 0 {
		fmt.Fprintf(env.out, "held: %d days, %s to %s\n", n, state.Held[0], state.Held[n-1])
	}
	w := tabwriter.NewWriter(env.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "DAY\tDROPPED\tCHECK-INS\tPEOPLE\tCERTIFICATE\tWAITING FOR")
	for _, d := range state.Dropped {
		done := "not all"
		if !d.Done.IsZero() {
			done = d.Done.In(qrgate.Zone).Format(time.DateOnly)
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%d\n", d.Day, done, d.Rows, d.People, d.Version, d.Waiting)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, b := range state.Waiting.Backups {
		fmt.Fprintf(env.out, "backup %s of %s holds names until %s %s\n", b.ID, b.Made.In(qrgate.Zone).Format(time.DateOnly), b.Until.In(qrgate.Zone).Format(time.DateOnly), b.File)
	}
	for _, name := range state.Waiting.Copies {
		fmt.Fprintf(env.out, "copy %s is not confirmed\n", name)
	}
	for _, k := range state.Waiting.Kiosks {
		fmt.Fprintf(env.out, "kiosk %s may hold records: %s\n", k.ID, k.Why)
	}
	return nil
}

func writeCertificate(ctx context.Context, env environment, g *guards, day qrgate.Day, path string) error {
	c, err := g.rights.Certificate(ctx, day)
	if err != nil {
		return err
	}
	if path == "" {
		_, err = env.out.Write(c.Body)
		return err
	}
	return writeNew(path, c.Body)
}

// writeNew writes a file of mode 0600 that is not there yet.
func writeNew(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Sync(), f.Close(), durable.SyncDir(filepath.Dir(path)))
}

// verifyProof needs no database: it can be asked years later.
func verifyProof(env environment, path string) error {
	_, keys, _, err := loadKeys(env.config)
	if err != nil {
		return err
	}
	public, err := keys.Witnesses()
	if err != nil {
		return err
	}
	file, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for _, kind := range []proof.Kind{proof.Retention, proof.Erasure, proof.Export} {
		var said any
		if err = proof.Open(kind, file, public, &said); err == nil {
			fmt.Fprintf(env.out, "%s: signed by this server, unchanged, kind %s\n", path, kind)
			return nil
		}
	}
	return fmt.Errorf("%s: %w", path, proof.ErrProof)
}

func auditCommand(ctx context.Context, env environment) error {
	if len(env.args) != 1 || env.args[0] != "verify" {
		return fmt.Errorf("%w: audit verify", errUsage)
	}
	return withGuards(ctx, env, func(g *guards) error {
		c, err := g.sealer.Verify(ctx)
		if err != nil {
			return err
		}
		fmt.Fprintf(env.out, "%d rows in %d seals, the newest of %s\n", c.Rows, c.Seals, c.Newest.At.In(qrgate.Zone).Format(time.DateTime))
		if c.OK() {
			fmt.Fprintln(env.out, "whole: no row was changed, taken out or put in")
			return nil
		}
		for _, f := range c.Found {
			fmt.Fprintf(env.out, "%s: seal %d, between %s and %s\n", f.Fault, f.Seal, f.From.In(qrgate.Zone).Format(time.DateTime), f.To.In(qrgate.Zone).Format(time.DateTime))
		}
		return fmt.Errorf("%d faults in the chain of audit rows", len(c.Found)+c.More)
	})
}

// personFlags makes the command for one person's rights.
func personFlags(f *flag.FlagSet) func(context.Context, environment) error {
	out := f.String("out", ".", "`directory` for the files")
	request := f.String("request", "command", "`id` of the request, for the audit row and the proof")
	name := f.String("name", "", "full `name` of the person, by which guests of events and others with the same telephone are found too")
	yes := f.Bool("yes", false, "erase, instead of only saying what would be erased")
	return func(ctx context.Context, env environment) error { return person(ctx, env, *out, *request, *name, *yes) }
}
