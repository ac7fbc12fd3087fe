package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/qrgate/qrgate/server/fleet/courier"
	"github.com/qrgate/qrgate/server/ingest"
	"github.com/qrgate/qrgate/server/portal/carry"
	"github.com/qrgate/qrgate/server/portal/text"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/sync/deliver"
)

// Endings of a stick's files; see the kiosk's package carry.
const (
	batchesFile  = ".batches"
	receiptsFile = ".receipts"
)

// A carrier takes in what kiosks without a network wrote, and gives what goes back.
type carrier struct {
	*ingest.Ingest
	keys       []byte           // signed list of keys
	configured *courier.Courier // nil: no settings
}

// Beside returns what goes back beside receipts.
func (c carrier) Beside(kiosk string) (carry.Beside, error) {
	b := carry.Beside{Keys: c.keys, Beside: c.Ingest.Beside(kiosk)}
	if c.configured == nil {
		return b, nil
	}
	var err error
	b.Settings, err = c.configured.Document(kiosk)
	return b, err
}

// importBundles takes in what was carried here on a stick and writes the receipts
// beside it, also while a server serves.
func importBundles(ctx context.Context, env environment) error {
	if len(env.args) != 1 {
		return fmt.Errorf("%w: import DIR or FILE", errUsage)
	}
	files, err := bundleFiles(env.args[0])
	if err != nil {
		return err
	}
	return withStore(ctx, env.config, func(s *store.Store) error {
		in, err := offlineIngest(ctx, env, s)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithCancel(ctx)
		ran := make(chan error, 1)
		go func() { ran <- in.Run(ctx) }()
		var errs []error
		for _, f := range files {
			if err := importBundle(ctx, env, in, s, f); err != nil {
				errs = append(errs, err)
			}
		}
		cancel()
		return errors.Join(append(errs, <-ran)...)
	})
}

// bundleFiles returns the file that is named, or those of a folder or of a stick's
// folder qrgate.
func bundleFiles(path string) ([]string, error) {
	i, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !i.IsDir() {
		return []string{path}, nil
	}
	for _, dir := range []string{path, filepath.Join(path, "qrgate")} {
		found, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		var files []string
		for _, e := range found {
			if e.Type().IsRegular() && strings.HasSuffix(e.Name(), batchesFile) {
				files = append(files, filepath.Join(dir, e.Name()))
			}
		}
		if len(files) > 0 {
			return files, nil
		}
	}
	return nil, fmt.Errorf("%s holds no file that ends in %s", path, batchesFile)
}

// offlineIngest is what serve takes batches in with, without a link: a server that
// serves or the next beat tells what this one could not.
func offlineIngest(ctx context.Context, env environment, s *store.Store) (*carrier, error) {
	c := env.config
	master, keys, _, err := loadKeys(c)
	if err != nil {
		return nil, err
	}
	days, err := openVault(c, master, s)
	if err != nil {
		return nil, err
	}
	parts, err := newParts(env, keys, days, s, nil)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(parts.Lists.Refresh(ctx), parts.Doors.Refresh(ctx)); err != nil {
		return nil, err
	}
	parts.Link, parts.Feed = noLink{}, ingest.NewFeed(nil)
	in, err := ingest.New(parts, ingest.Options{Workers: 1, Retention: c.Retention, Server: c.Client, Log: env.log.With("task", "import")})
	return &carrier{Ingest: in, keys: keys.Signed()}, err
}

// A noLink leads nowhere.
type noLink struct{}

func (noLink) Publish(context.Context, string, []byte, bool) error { return nil }

func (noLink) Subscribe(context.Context, string, func(string, []byte)) error { return nil }

// importBundle says in both languages what became of a file: who carries sticks is not
// always who runs servers.
func importBundle(ctx context.Context, env environment, in *carrier, s *store.Store, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	c, err := in.Carry(ctx, f)
	say := func(key string, args ...any) string {
		return text.Of(text.Vietnamese, key, args...) + "\n  " + text.Of(text.English, key, args...)
	}
	if c.Batches > 0 || err == nil {
		if err := s.NoteCarried(ctx, "", c.Kiosk, c.Batches, c.Fresh); err != nil {
			return err
		}
		to := filepath.Join(filepath.Dir(path), c.Kiosk+receiptsFile)
		if err := in.writeBack(ctx, to, c); err != nil {
			return err
		}
		fmt.Fprintf(env.out, "%s\n  %s\n", path, say("carry.done", "kiosk", c.Kiosk, "records", c.Records, "fresh", c.Fresh))
		for _, of := range []struct {
			n   int
			key string
		}{{c.Rejected, "carry.rejected"}, {c.Refused, "carry.refused"}, {c.Scattered, "carry.scattered"}} {
			if of.n > 0 {
				fmt.Fprintf(env.out, "  %s\n", say(of.key, "n", of.n))
			}
		}
		if c.Fork {
			fmt.Fprintf(env.out, "  %s\n", say("carry.fork"))
		}
		fmt.Fprintf(env.out, "  %s\n", to)
	}
	if err == nil {
		return nil
	}
	if key, known := carry.Wrong(err); known {
		return fmt.Errorf("%s: %w\n  %s", path, err, say(key, "kiosk", c.Kiosk))
	}
	return fmt.Errorf("%s: %w", path, err)
}

// writeBack writes what goes back to a kiosk: also to one that had nothing to tell, for
// it may lack the list of void cards.
func (c carrier) writeBack(ctx context.Context, to string, of ingest.Carried) error {
	receipts := of.Receipts
	if len(receipts) == 0 {
		owed, err := c.Owed(ctx, of.Kiosk)
		if err != nil {
			return err
		}
		receipts = owed
	}
	beside, err := c.Beside(of.Kiosk)
	if err != nil {
		return err
	}
	return writeReceipts(to, of.Kiosk, carry.Bundle(receipts, beside))
}

// writeReceipts replaces the file that goes back to the kiosk.
func writeReceipts(path, kiosk string, envelopes [][]byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".part-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	err = deliver.WriteBundle(f, kiosk, carry.Each(envelopes))
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
