package carry

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/qrgate/qrgate/sync/deliver"
	"github.com/qrgate/qrgate/sync/outbox"
)

// Endings of the two files.
const (
	batches  = ".batches"
	receipts = ".receipts"
)

// A Door is the kiosk whose check-ins are carried.
type Door struct {
	Kiosk string
	Key   ed25519.PrivateKey // signs batches
	Queue *outbox.Queue

	// Take takes a receipt and returns when it is on disk, or why it was refused.
	Take func(ctx context.Context, envelope []byte) error

	// Beside takes what a server sends beside receipts: lists of keys and void cards,
	// events, settings. It returns when that is in force, and false if it is none of
	// these. Nil takes nothing.
	Beside func(ctx context.Context, envelope []byte) bool
}

// A Report says what was done with a folder.
type Report struct {
	Receipts int    // taken
	Beside   int    // parts of lists and other messages that came with them
	Refused  int    // receipts that do not verify
	Waiting  uint64 // check-ins and other records written, which wait for a receipt
	Through  uint64 // received by the server up to here
	Damaged  error  // why a file of receipts was not read to its end; nil as a rule
}

// Visit takes the receipts of this kiosk that lie in dir and writes what still has
// none. It returns when that is on the stick. A damaged file of receipts keeps
// nothing from being written, and is told in the report.
func (d Door) Visit(ctx context.Context, dir string) (Report, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return Report{}, fmt.Errorf("carry: %w", err)
	}
	defer root.Close()
	r, err := d.takeFile(ctx, root)
	if err != nil {
		return r, fmt.Errorf("carry: %w", err)
	}
	if err := d.writeFile(root); err != nil {
		return r, fmt.Errorf("carry: %w", err)
	}
	s := d.Queue.Stats()
	r.Waiting, r.Through = s.Unsent, s.Through
	return r, nil
}

// takeFile takes the receipts in root, if there are any.
func (d Door) takeFile(ctx context.Context, root *os.Root) (Report, error) {
	// A stick may hold a pipe of that name, which would let the door wait for ever.
	f, err := root.OpenFile(d.Kiosk+receipts, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return Report{}, nil
	}
	if err != nil {
		return Report{Damaged: err}, nil
	}
	defer f.Close()
	if i, err := f.Stat(); err != nil || !i.Mode().IsRegular() {
		return Report{Damaged: errors.Join(err, fmt.Errorf("%s is no file", d.Kiosk+receipts))}, nil
	}
	return d.TakeBundle(ctx, f)
}

// TakeBundle takes a bundle of receipts. The error is that of the outbox, or ctx's.
func (d Door) TakeBundle(ctx context.Context, from io.Reader) (Report, error) {
	all, damaged := deliver.ReadReceipts(from, d.Kiosk)
	r := Report{Damaged: damaged}
	for _, e := range all {
		// Lists of keys come first, by which what follows verifies.
		if d.Beside != nil && d.Beside(ctx, e) {
			r.Beside++
			continue
		}
		switch err := d.Take(ctx, e); {
		case err == nil:
			r.Receipts++
		case ctx.Err() != nil || errors.Is(err, outbox.ErrBroken):
			return r, err
		default:
			r.Refused++
		}
	}
	return r, nil
}

// WriteBundle writes what has no receipt.
func (d Door) WriteBundle(w io.Writer) error {
	return deliver.WriteBundle(w, d.Kiosk, deliver.Envelopes(d.Kiosk, d.Key, d.Queue))
}

// writeFile replaces the file of batches, or leaves the one that is there.
func (d Door) writeFile(root *os.Root) error {
	return replace(root, d.Kiosk+batches, d.WriteBundle)
}

// replace writes a file whole or not at all, and returns when it is on the stick.
func replace(root *os.Root, name string, fill func(io.Writer) error) error {
	const part = ".part"
	// What lies under that name may be a link of somebody's: it is not followed.
	if err := root.Remove(name + part); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := root.OpenFile(name+part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(f, 64<<10)
	err = fill(out)
	if err == nil {
		err = out.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = root.Rename(name+part, name)
	}
	if err != nil {
		return errors.Join(err, root.Remove(name+part))
	}
	dir, err := root.Open(".")
	if err != nil {
		return err
	}
	// Some file systems of sticks cannot sync a folder; they have no other way.
	if err := dir.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) {
		return errors.Join(err, dir.Close())
	}
	return dir.Close()
}
