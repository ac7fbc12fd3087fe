package e2e_test

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"index/suffixarray"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Canaries are people whose traces are searched for.
type canaries struct {
	names   []string
	numbers []string
	serials []uint32 // of cards
	waiting []string // codes not yet shown
}

// newCanaries returns n people with identity cards, whose names and numbers
// occur nowhere else.
func newCanaries(n int, r *rand.Rand) canaries {
	var c canaries
	for range n {
		number := fmt.Sprintf("%012d", 900_000_000_000+r.Int64N(99_000_000_000))
		name := "Nguyễn " + syllables(r) + " " + syllables(r)
		c.names = append(c.names, name)
		c.numbers = append(c.numbers, number)
		c.waiting = append(c.waiting, fmt.Sprintf("%s|%09d|%s|01021950|Nữ|%s, Phú Xuân, Huế|02032022", number, r.IntN(1e9), name, syllables(r)))
	}
	return c
}

func syllables(r *rand.Rand) string {
	const onsets, rhymes = "BCDGHKLMNPQRSTVX", "aeiouy"
	var b strings.Builder
	for i := range 5 {
		onset := onsets[r.IntN(len(onsets))]
		if i > 0 {
			onset |= 0x20
		}
		b.WriteByte(onset)
		b.WriteByte(rhymes[r.IntN(len(rhymes))])
	}
	return b.String()
}

// A trace is one form in which a canary may have been left behind.
type trace struct {
	of, form string
	bytes    []byte
}

// traces returns every form that is searched for: in clear, hex, base32 and
// base64, and as a hash without a key, of which eight bytes are enough.
func (c *canaries) traces() []trace {
	var all []trace
	forms := func(of, s string) {
		raw := []byte(s)
		add := func(form string, b []byte) {
			all = append(all, trace{of, form, b},
				trace{of, form + " in hex", []byte(hex.EncodeToString(b))},
				trace{of, form + " in capital hex", []byte(strings.ToUpper(hex.EncodeToString(b)))})
		}
		add("clear", raw)
		all = append(all,
			trace{of, "base32", []byte(strings.TrimRight(base32.StdEncoding.EncodeToString(raw), "="))},
			trace{of, "base64", []byte(strings.TrimRight(base64.StdEncoding.EncodeToString(raw), "="))})
		s256, s512, s1, m5 := sha256.Sum256(raw), sha512.Sum512(raw), sha1.Sum(raw), md5.Sum(raw)
		add("SHA-256", s256[:8])
		add("SHA-512", s512[:8])
		add("SHA-1", s1[:8])
		add("MD5", m5[:8])
	}
	for i, n := range c.names {
		forms(fmt.Sprint("name ", i), n)
		forms(fmt.Sprint("name in capitals ", i), strings.ToUpper(n))
	}
	for i, n := range c.numbers {
		forms(fmt.Sprint("number ", i), n)
		v, err := strconv.ParseUint(n, 10, 64)
		if err != nil {
			panic(err)
		}
		all = append(all, trace{fmt.Sprint("number ", i), "CBOR", binary.BigEndian.AppendUint64([]byte{0x1b}, v)})
	}
	for i, n := range c.serials {
		of := fmt.Sprint("card ", i)
		forms(of, strconv.FormatUint(uint64(n), 10))
		all = append(all, trace{of, "CBOR", binary.BigEndian.AppendUint32([]byte{0x1a}, n)})
		sum := sha256.Sum256(binary.BigEndian.AppendUint32(nil, n))
		all = append(all, trace{of, "SHA-256 of four bytes", sum[:8]})
	}
	return all
}

// find reports the traces that are in the files below dirs.
func find(t *testing.T, traces []trace, dirs ...string) (found []string, files, size int) {
	t.Helper()
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // a running database makes and drops files
			}
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			b, err := os.ReadFile(path)
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil {
				return err
			}
			files, size = files+1, size+len(b)
			index := suffixarray.New(b)
			for _, c := range traces {
				if index.Lookup(c.bytes, 1) != nil {
					found = append(found, fmt.Sprintf("%s: %s as %s", path, c.of, c.form))
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found, files, size
}

// search looks for everybody who was here in all that kiosk and server keep.
func (p *play) search(b backend) {
	p.Helper()
	for _, run := range p.serving {
		if err := run.Stop(); err != nil {
			p.Errorf("a server ended with %v", err)
		}
	}
	dirs := []string{p.kiosk.State(), p.stage.ServerState()}
	if b.files != nil {
		dirs = append(dirs, b.files(p.stage)...)
	}
	c := p.people
	c.serials = c.serials[:len(c.serials)-len(p.cards)] // those that were shown
	if shown := len(c.numbers) - len(c.waiting) + len(c.serials); shown < 1000 {
		p.Errorf("only %d canaries were shown", shown)
	}
	found, files, size := find(p.T, c.traces(), dirs...)
	for _, f := range found {
		p.Errorf("left behind: %s", f)
	}
	p.Logf("searched %d files, %d bytes, for %d names and numbers and %d cards", files, size, len(c.numbers)-len(c.waiting), len(c.serials))
}

// The search itself finds what was left behind.
func TestFindFindsCanaries(t *testing.T) {
	c := newCanaries(2, rand.New(rand.NewPCG(3, 4)))
	c.serials = []uint32{3_456_789_012}
	for _, tr := range c.traces() {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "f"), append([]byte("before"), append(tr.bytes, "after"...)...), 0o600); err != nil {
			t.Fatal(err)
		}
		if found, _, _ := find(t, []trace{tr}, dir); len(found) != 1 {
			t.Errorf("%s as %s was not found", tr.of, tr.form)
		}
	}
	if found, _, _ := find(t, c.traces(), t.TempDir()); len(found) != 0 {
		t.Errorf("found %v in nothing", found)
	}
}
