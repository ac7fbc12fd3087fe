package retention

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/store/archive"
)

// A Backup is a data backup that may still hold names of people who were
// forgotten.
type Backup struct {
	ID    string    `json:"id"`
	File  string    `json:"file,omitempty"` // empty of one that lies elsewhere
	Made  time.Time `json:"made"`
	Until time.Time `json:"until"` // when it is to be gone
}

// partFor is how old a backup that was never finished must be to be deleted.
const partFor = 24 * time.Hour

// deleteBackups deletes the backups in the folder that are old enough, and those
// that were never finished. The newest one stays for as long as its check-ins
// would.
func (k *Keeper) deleteBackups(ctx context.Context, now time.Time) error {
	files, err := k.backupFiles()
	if err != nil {
		return err
	}
	var errs []error
	for i, b := range files {
		old := time.Duration(k.o.BackupDays) * 24 * time.Hour
		if i == 0 {
			old = time.Duration(k.o.Days) * 24 * time.Hour
		}
		if now.Sub(b.Made) < old {
			continue
		}
		err := os.Remove(filepath.Join(k.o.Backups, b.File))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
			continue
		}
		errs = append(errs, k.Rights.Gone(ctx, "", b.ID))
		k.Log.Info("backup deleted", "backup", b.ID, "made", b.Made)
	}
	errs = append(errs, deleteOld(k.o.Backups, now.Add(-partFor), func(name string) bool { return strings.Contains(name, ".part-") }))
	return errors.Join(errs...)
}

// backupFiles returns the backups in the folder, the latest first. What is no
// backup of ours is left alone.
func (k *Keeper) backupFiles() ([]Backup, error) {
	if k.o.Backups == "" {
		return nil, nil
	}
	entries, err := os.ReadDir(k.o.Backups)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // none was made yet
	}
	if err != nil {
		return nil, err
	}
	var all []Backup
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		b, err := readHead(filepath.Join(k.o.Backups, e.Name()))
		if errors.Is(err, archive.ErrDamaged) || errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		b.File, b.Until = e.Name(), b.Made.Add(time.Duration(k.o.BackupDays)*24*time.Hour)
		all = append(all, b)
	}
	slices.SortFunc(all, func(a, b Backup) int { return b.Made.Compare(a.Made) })
	return all, nil
}

func readHead(path string) (Backup, error) {
	f, err := os.Open(path)
	if err != nil {
		return Backup{}, err
	}
	defer f.Close()
	r, err := archive.NewReader(f)
	if err != nil {
		return Backup{}, err
	}
	defer r.Close()
	return Backup{ID: r.Head.ID, Made: time.UnixMilli(r.Head.Made)}, nil
}

// deleteLogs deletes logs of this program that are past the retention. They name
// nobody, but they do say when which kiosk sent something.
func (k *Keeper) deleteLogs(_ context.Context, now time.Time) error {
	return deleteOld(k.o.Logs, k.ago(now, k.o.Days), func(name string) bool { return strings.HasPrefix(name, "qrgate") })
}

// deleteOld deletes the files of a folder that were not written to since a time.
func deleteOld(dir string, before time.Time, ours func(name string) bool) error {
	if dir == "" {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !e.Type().IsRegular() || !ours(e.Name()) || info.ModTime().After(before) {
			continue
		}
		errs = append(errs, os.Remove(filepath.Join(dir, e.Name())))
	}
	return errors.Join(errs...)
}
