package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/durable"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
)

// withStore opens the database for one command.
func withStore(ctx context.Context, c Config, do func(*store.Store) error) error {
	if _, err := os.Stat(c.State); err != nil {
		return fmt.Errorf("state directory: %w; run qrgate-server init for a new server, restore for one that was lost", err)
	}
	s, err := store.Open(ctx, c.Store, store.Options{})
	if err != nil {
		return err
	}
	return errors.Join(do(s), s.Close())
}

func oneFile(env environment) (string, error) {
	if len(env.args) != 1 {
		return "", fmt.Errorf("%w: name one file", errUsage)
	}
	return env.args[0], nil
}

func migrate(ctx context.Context, env environment) error {
	return withStore(ctx, env.config, func(*store.Store) error { return nil })
}

// backup writes a new file, under its own name only when it is whole and on
// disk, and copies the keys.
func backup(ctx context.Context, env environment) error {
	path, err := oneFile(env)
	if err != nil {
		return err
	}
	if _, err := os.Stat(path); err == nil {
		return fmt.Errorf("%s exists already; a backup never replaces another", path)
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".part-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	err = withStore(ctx, env.config, func(s *store.Store) error { return s.Backup(ctx, f) })
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil { // unlike a rename it replaces nothing
		return err
	}
	if err := durable.SyncDir(filepath.Dir(path)); err != nil {
		return err
	}
	// Now, for it holds check-ins of whose day the key was new.
	if copies := env.config.copiesIn(env.config.KeyCopies); copies == nil {
		fmt.Fprintf(env.out, "No keys are copied with it. %s.\n", nameCopies(env.path))
	} else if err := copies.Follow(); err != nil {
		return fmt.Errorf("%s is whole, but the keys were not copied: %w", path, err)
	}
	fmt.Fprintf(env.out, "%s\nNow check it, best on another machine: qrgate-server verify-backup %s\n", path, path)
	return nil
}

// verifyFlags makes the command that reads a backup to its end and then lets kiosks
// forget what it holds, as far as copies of keys open it.
func verifyFlags(f *flag.FlagSet) func(context.Context, environment) error {
	keys := f.String("keys", "", "`folder` of copies of the keys in days/ (default keys of [retention])")
	return func(ctx context.Context, env environment) error {
		dir := *keys
		if dir == "" {
			dir = env.config.KeyCopies
		}
		return withBackup(env, func(f io.Reader) error { return verifyBackup(ctx, env, f, dir) })
	}
}

func verifyBackup(ctx context.Context, env environment, f io.Reader, keys string) error {
	report, err := store.VerifyBackup(ctx, f, env.config.State)
	if err != nil {
		return err
	}
	printReport(env.out, report)
	if len(report.GivenUp) > 0 {
		fmt.Fprintf(env.out, "The keys of %s were given up: what kiosks hold of these days they keep for those to whom the order New ledger is still to come.\n", listed(report.GivenUp))
	}
	days, err := unopened(env.config, keys, report)
	if err != nil {
		return err
	}
	err = withStore(ctx, env.config, func(s *store.Store) error { return s.MarkSafe(ctx, report.Without(days)) })
	if err == nil && len(days) > 0 {
		err = errNoCopy(days, keys, env.path)
	}
	return err
}

func restore(ctx context.Context, env environment) error {
	return withBackup(env, func(f io.Reader) error {
		if err := os.MkdirAll(env.config.State, 0o700); err != nil {
			return err
		}
		return withStore(ctx, env.config, func(s *store.Store) error {
			report, err := s.Restore(ctx, f)
			if err != nil {
				return err
			}
			printReport(env.out, report)
			kept, err := enrolments(env.config, s).Keep(ctx)
			if err != nil {
				return err
			}
			for _, id := range kept.Again {
				fmt.Fprintf(env.out, "kiosk %s was revoked after this backup and stays revoked\n", id)
			}
			fmt.Fprintln(env.out, "Kiosks will send again what this backup lacks and they still hold.\nWhat they were told of void cards stays in force, until you have revoked again what this backup lacks and say: qrgate-server cards confirm\nNo new kiosks are taken, until you have looked at who is revoked and say: qrgate-server enrolment confirm")
			if missing := env.config.missingKeys(); len(missing) > 0 {
				fmt.Fprintf(env.out, "Before it serves, put back what was kept of its keys, and do not run init, which makes others. Missing are: %s\n", strings.Join(missing, ", "))
			}
			return nil
		})
	})
}

func withBackup(env environment, do func(io.Reader) error) error {
	path, err := oneFile(env)
	if err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return do(f)
}

func printReport(w io.Writer, r store.BackupReport) {
	fmt.Fprintf(w, "backup %s of %s, generation %d: %d rows, whole\n", r.ID, time.UnixMilli(r.Made).In(qrgate.Zone).Format(time.DateTime), r.Generation, r.Rows)
}

func checkConfig(_ context.Context, env environment) error {
	fmt.Fprintln(env.out, "the configuration is sound")
	return nil
}

func printVersion(_ context.Context, env environment) error {
	fmt.Fprintln(env.out, version)
	return nil
}
