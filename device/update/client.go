package update

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"golang.org/x/sys/unix"

	"github.com/qrgate/qrgate/device/launcher"
	"github.com/qrgate/qrgate/sync/release"
)

// A Client finds and fetches versions for one kind of machine. One at a time works
// on a folder of versions; a second waits.
type Client struct {
	versions launcher.Versions
	root     []byte
	arch     string
}

// NewClient returns a client that keeps versions in a folder and trusts a root
// document.
func NewClient(versions launcher.Versions, root []byte, arch string) *Client {
	return &Client{versions, root, arch}
}

// maxRoot is more than any root document.
const maxRoot = release.MaxMetadata

// ReadRoot reads the root document at path. One that is missing is a [Refusal].
func ReadRoot(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err == nil && info.Size() > maxRoot {
		err = fmt.Errorf("%d bytes", info.Size())
	}
	var b []byte
	if err == nil {
		b, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, refuse(release.NoRoot, fmt.Errorf("update: trusted root: %w", err))
	}
	return b, nil
}

// An Ask is what a client shall look for.
type Ask struct {
	Version string // "" is the newest that is listed for the machine
	Running string // only what is newer counts
	Floor   time.Time

	// Late is asked whether metadata whose time is over, and that is newer than
	// what is held, may be taken all the same; nil is no.
	Late func() bool
}

// A Found is a build that the release's keys have signed.
type Found struct {
	release.About
	Sum launcher.Sum

	path string // in the repository
}

// Find verifies a repository's metadata and returns the version that was asked for.
// Whatever was verified is kept, so that nothing older counts from then on.
func (c *Client) Find(ctx context.Context, src Source, ask Ask) (Found, error) {
	unlock, err := c.lock()
	if err != nil {
		return Found{}, err
	}
	defer unlock()
	path := filepath.Join(c.versions.Dir, trustFile)
	t := openTrust(path, c.root)
	listed, err := t.refresh(ctx, src, ask.Floor, false)
	if Why(err) == release.Expired && ask.Late != nil && ask.Late() {
		t = openTrust(path, c.root)
		listed, err = t.refresh(ctx, src, ask.Floor, true)
	}
	if err := t.write(path); err != nil {
		return Found{}, refuse(release.NoRoom, fmt.Errorf("update: metadata: %w", err))
	}
	if err != nil {
		return Found{}, err
	}
	return c.pick(listed, ask)
}

// pick returns the build that was asked for among those listed.
func (c *Client) pick(listed map[string]*metadata.TargetFiles, ask Ask) (Found, error) {
	version := ask.Version
	if version == "" {
		for name, target := range listed {
			if f, err := found(name, target); err == nil && f.Is(f.Version, c.arch) == nil && release.Compare(f.Version, version) > 0 {
				version = f.Version
			}
		}
	}
	if version == "" || !release.Valid(version) {
		return Found{}, refuse(release.Unlisted, fmt.Errorf("update: no release for %s: %q", c.arch, version))
	}
	if release.Compare(version, ask.Running) <= 0 {
		return Found{}, refuse(release.Older, fmt.Errorf("update: %s is not newer than %s, which runs", version, ask.Running))
	}
	name := release.Name(version, c.arch)
	target := listed[name]
	if target == nil {
		return Found{}, refuse(release.Unlisted, fmt.Errorf("update: no release %s for %s", version, c.arch))
	}
	f, err := found(name, target)
	if err == nil {
		err = f.Is(version, c.arch)
	}
	return f, refuse(release.Unsigned, err)
}

// found reads what is signed of one build.
func found(name string, target *metadata.TargetFiles) (Found, error) {
	if target.Custom == nil {
		return Found{}, fmt.Errorf("update: nothing is said of %s", name)
	}
	about, err := release.ParseAbout(*target.Custom)
	if err != nil {
		return Found{}, err
	}
	sum := launcher.Sum{Length: target.Length, SHA256: target.Hashes["sha256"]}
	if len(sum.SHA256) != 32 || sum.Length <= 0 || sum.Length > release.MaxBytes(about.Arch) || name != release.Name(about.Version, about.Arch) {
		return Found{}, fmt.Errorf("update: %s has %d bytes, %d of a hash, and is called %s %s", name, sum.Length, len(sum.SHA256), about.Version, about.Arch)
	}
	return Found{about, sum, fmt.Sprintf("%s/%x.%s", release.TargetsDir, sum.SHA256, name)}, nil
}

// spare is what stays free on the disk for check-ins.
const spare = 64 << 20

// Fetch makes a version of what was found. What was gathered before an error stays,
// and the next call goes on there. progress, if it is not nil, is told how many bytes
// are there.
func (c *Client) Fetch(ctx context.Context, src Source, f Found, progress func(int64)) error {
	unlock, err := c.lock()
	if err != nil {
		return err
	}
	defer unlock()
	if c.versions.Has(f.Version, f.Sum) {
		return nil
	}
	part := c.versions.Part(f.Version)
	have := int64(0)
	if info, err := os.Stat(part); err == nil && info.Size() <= f.Sum.Length {
		have = info.Size()
	}
	err = c.fetch(ctx, src, f, part, have, progress)
	if have > 0 && errors.Is(err, launcher.ErrSum) {
		// What was left of an earlier go, as by a power cut, was no part of it.
		err = c.fetch(ctx, src, f, part, 0, progress)
	}
	if errors.Is(err, launcher.ErrSum) {
		return refuse(release.Unsigned, err)
	}
	return err
}

func (c *Client) fetch(ctx context.Context, src Source, f Found, part string, have int64, progress func(int64)) error {
	if err := c.room(f.Sum.Length - have); err != nil {
		return err
	}
	if have < f.Sum.Length {
		if err := gather(ctx, src, f, part, have, progress); err != nil {
			if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
				// Check-ins need the room more.
				return refuse(release.NoRoom, errors.Join(err, os.Remove(part)))
			}
			return err
		}
	}
	return c.versions.Keep(f.Version, f.Sum)
}

// gather appends what is missing to the part.
func gather(ctx context.Context, src Source, f Found, part string, have int64, progress func(int64)) error {
	r, from, err := src.Open(ctx, f.path, have)
	if err != nil {
		return err
	}
	defer r.Close()
	w, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("update: %w", err)
	}
	defer w.Close()
	if err := w.Truncate(from); err != nil {
		return fmt.Errorf("update: %w", err)
	}
	if _, err := w.Seek(from, io.SeekStart); err != nil {
		return fmt.Errorf("update: %w", err)
	}
	at := from
	b := make([]byte, 64<<10)
	for {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		n, err := r.Read(b)
		if at+int64(n) > f.Sum.Length {
			return refuse(release.Unsigned, errors.Join(fmt.Errorf("update: %s goes on after its %d bytes", f.path, f.Sum.Length), os.Remove(part)))
		}
		if n > 0 {
			if _, err := w.Write(b[:n]); err != nil {
				return fmt.Errorf("update: %w", err)
			}
			if at += int64(n); progress != nil {
				progress(at)
			}
		}
		switch {
		case errors.Is(err, io.EOF) && at < f.Sum.Length:
			return fmt.Errorf("update: %s ends after %d of %d bytes: %w", f.path, at, f.Sum.Length, io.ErrUnexpectedEOF)
		case errors.Is(err, io.EOF):
			return w.Close()
		case err != nil:
			return fmt.Errorf("update: %s: %w", f.path, err)
		}
	}
}

// room says whether so many bytes may be taken of the disk.
func (c *Client) room(need int64) error {
	var st unix.Statfs_t
	if err := unix.Statfs(c.versions.Dir, &st); err != nil {
		return fmt.Errorf("update: %w", err)
	}
	if free := int64(st.Bavail) * int64(st.Bsize); st.Blocks > 0 && free < need+spare {
		return refuse(release.NoRoom, fmt.Errorf("update: %d MiB are free, %d are needed and %d stay for check-ins", free>>20, need>>20, spare>>20))
	}
	return nil
}

// lock keeps two programs from working on one folder.
func (c *Client) lock() (func(), error) {
	if err := os.MkdirAll(c.versions.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("update: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(c.versions.Dir, "update.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) || errors.Is(err, syscall.ENOSPC) {
			return nil, refuse(release.NoRoom, fmt.Errorf("update: %w", err))
		}
		return nil, fmt.Errorf("update: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("update: %w", err), f.Close())
	}
	return func() { f.Close() }, nil
}
