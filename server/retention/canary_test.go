package retention_test

import (
	"bytes"
	"crypto/aes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/server/vault"
)

// survivors returns every file that is left of a server, by name, and the
// databases in its backups as files.
func (w *world) survivors() map[string][]byte {
	w.t.Helper()
	files := map[string][]byte{}
	read := func(dir string) {
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) || err == nil && e.IsDir() {
				return nil
			}
			if err != nil {
				return err
			}
			b, err := os.ReadFile(path)
			files[path] = b
			return err
		})
		if err != nil {
			w.t.Fatal(err)
		}
	}
	read(w.dir)
	if path, ok := strings.CutPrefix(w.dsn, "sqlite:"); ok {
		read(filepath.Dir(path)) // its log beside it
	}
	w.logMu.Lock()
	files["log"] = bytes.Clone(w.log.Bytes())
	w.logMu.Unlock()
	// What is in the database, also where its files cannot be read, and in the
	// backups, which are compressed.
	var now bytes.Buffer
	if err := w.s.Backup(w.t.Context(), &now); err != nil {
		w.t.Fatal(err)
	}
	unpack := func(name string, backup []byte) {
		dsn := found(w.t)
		path := strings.TrimPrefix(dsn, "sqlite:")
		s, err := store.Open(w.t.Context(), dsn, store.Options{Now: w.time})
		if err != nil {
			w.t.Fatal(err)
		}
		if _, err := s.Restore(w.t.Context(), bytes.NewReader(backup)); err != nil {
			w.t.Fatalf("%s: %v", name, err)
		}
		w.opens(name, s)
		if err := s.Close(); err != nil {
			w.t.Fatal(err)
		}
		if files[name+" unpacked"], err = os.ReadFile(path); err != nil {
			w.t.Fatal(err)
		}
	}
	backups := map[string][]byte{}
	for name, b := range files {
		if filepath.Dir(name) == filepath.Join(w.dir, "backups") && filepath.Base(name) != "notes.txt" {
			backups[name] = b
		}
	}
	for name, b := range backups {
		unpack(name, b)
	}
	unpack("database", now.Bytes())
	return files
}

// opens writes all that the people key opens of a database into what is searched,
// by failing the test if it is a canary's who must be gone.
func (w *world) opens(name string, s *store.Store) {
	w.t.Helper()
	cards := register.New(s, w.time).Cards(w.v)
	err := cards.EachPerson(w.t.Context(), func(p qrgate.Person, d *register.PersonDetails) error {
		opened[name] = append(opened[name], fmt.Sprintf("%d %s %s %s", uint64(p), d.Name, d.Phone, d.Address))
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// opened is what the last search has opened, by file.
var opened = map[string][]string{}

// gone fails the test if anything of these is left anywhere.
func (w *world) gone(all ...*human) {
	w.t.Helper()
	w.search(true, all...)
}

// forgotten is gone without trying every key on every sixteen bytes, which takes
// some time and one test of what was dropped does for all.
func (w *world) forgotten(all ...*human) {
	w.t.Helper()
	w.search(false, all...)
}

func (w *world) search(every bool, all ...*human) {
	w.t.Helper()
	clear(opened)
	files := w.survivors()
	if len(files) < 4 {
		w.t.Fatalf("only %d files are searched", len(files))
	}
	blocks := w.dayKeys()
	for name, content := range files {
		for _, h := range all {
			for what, needle := range h.traces() {
				if bytes.Contains(content, needle) {
					w.t.Errorf("%s: %s of %q is left", name, what, h.name)
				}
			}
		}
		if !every {
			continue
		}
		// Every sixteen bytes of every file, under every key of a day that is left.
		persons := map[qrgate.Person]*human{}
		for _, h := range all {
			persons[h.person] = h
		}
		var plain [16]byte
		for i := 0; i+16 <= len(content); i++ {
			if binary.BigEndian.Uint64(content[i:]) == 0 {
				continue // an empty page
			}
			for _, b := range blocks {
				b.Decrypt(plain[:], content[i:i+16])
				if h := persons[qrgate.Person(binary.BigEndian.Uint64(plain[:8]))]; h != nil && binary.BigEndian.Uint64(plain[8:]) == 0 {
					w.t.Errorf("%s: at %d a check-in of %q opens", name, i, h.name)
				}
			}
		}
	}
	for name, lines := range opened {
		for _, line := range lines {
			for _, h := range all {
				if strings.Contains(line, h.name) || strings.Contains(line, h.phone) || strings.HasPrefix(line, fmt.Sprint(uint64(h.person))) {
					w.t.Errorf("%s: %q opens", name, line)
				}
			}
		}
	}
}

// traces are the bytes that tell of a human.
func (h *human) traces() map[string][]byte {
	all := map[string][]byte{"name": []byte(h.name), "phone": []byte(h.phone), "identity": h.identity[:]}
	all["person"] = binary.BigEndian.AppendUint64(nil, uint64(h.person))
	for i, s := range h.subjects {
		all[fmt.Sprintf("subject %d", i)] = bytes.Clone(s[:])
	}
	return all
}

// dayKeys opens every key of a day that is left.
func (w *world) dayKeys() (all []interface{ Decrypt(dst, src []byte) }) {
	w.t.Helper()
	dir := vault.Dir(filepath.Join(w.dir, "days"))
	names, err := dir.Names()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, name := range names {
		if !strings.HasPrefix(name, "days/") {
			continue
		}
		wrapped, err := dir.Load(name)
		if err != nil {
			w.t.Fatal(err)
		}
		key, err := w.master.Unwrap(name, wrapped)
		if err != nil {
			w.t.Fatal(err)
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			w.t.Fatal(err)
		}
		all = append(all, block)
	}
	return all
}

// The search itself must find what is there.
func TestSearchFindsWhatIsThere(t *testing.T) {
	w := newWorld(t, sqlite.dsn(t))
	h := humanOf(1)
	w.comes(h)
	w.backup("all")
	failed := &recorder{TB: t}
	w.t = failed
	w.gone(h)
	w.t = t
	for _, want := range []string{"subject 0 of", "identity of", "a check-in of", "opens", "unpacked"} {
		if !strings.Contains(strings.Join(failed.errors, "\n"), want) {
			t.Errorf("the search does not find %q: %q", want, failed.errors)
		}
	}
}

// A recorder is a test that notes its errors instead of failing.
type recorder struct {
	testing.TB
	errors []string
}

func (r *recorder) Errorf(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

func (r *recorder) TempDir() string { return r.TB.TempDir() }
