package e2e_test

import (
	"bytes"
	"compress/gzip"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/text/encoding/charmap"

	"github.com/qrgate/qrgate/sync/e2e/stage"
	"github.com/qrgate/qrgate/sync/outbox"
	"github.com/qrgate/qrgate/sync/seal"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// Somebody who has all of a kiosk's files, and its keys, tries every number that people
// of a province may have: of no number that was shown is there a trace, in clear, as an
// integer, or as a digest with or without any key that lies there; nor of a name. The same
// of the server's database without its vault. Ten million numbers in a soak.
func TestNumbersCannotBeFoundByTryingThemAll(t *testing.T) {
	t.Parallel()
	candidates := 100_000
	if os.Getenv("QRGATE_SCALE") == "soak" {
		candidates = 10_000_000
	}
	p, said := atOneDoor(t, "cho-an-cuu-1", "Chợ An Cựu", "")
	k := p.kiosk
	screen, err := stage.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	p.edit(filepath.Join(k.Dir, "kiosk.toml"), "[panel]", fmt.Sprintf("[screen]\nlisten = %q\n[panel]", screen))
	p.edit(filepath.Join(k.Dir, "kiosk.toml"), `gate = "A1"`, "gate = \"A1\"\naccept = [\"card\", \"cccd\", \"bhyt\", \"national\", \"phone\"]")
	people := corpus(candidates)
	p.proxy.Down.Store(true)
	k.start()
	for _, code := range people.codes {
		k.held(code)
	}
	people.phones(t, screen)
	if got := k.await(5*time.Second, "admitted"); got == "" {
		t.Error("a telephone number is not taken")
	}
	k.stop()
	search := newSearch(t, people, candidates)
	search.read(k.Dir, nil)
	search.bytes("what it said", said.all())
	search.opened(p, filepath.Join(k.State(), "outbox.db"))
	search.keys(p)
	search.none("a kiosk and its keys")

	p.proxy.Down.Store(false)
	k.start()
	p.until("everything is on the server", func() bool { return len(p.rows(k)) >= len(people.codes)+1 })
	for _, run := range p.serving {
		if err := run.Stop(); err != nil {
			t.Error(err)
		}
	}
	// What lies apart from the database is what opens it.
	vault := func(name string) bool { return !strings.HasPrefix(name, "qrgate.db") }
	of := newSearch(t, people, candidates)
	of.read(p.stage.ServerState(), vault)
	of.keys(p)
	of.none("a server's database without its vault")
}

// The search finds what it looks for: one number that is in a file in any of the ways that
// it knows.
func TestSearchFindsWhatIsThere(t *testing.T) {
	people := corpus(1000)
	number := people.candidate(617)
	key := []byte("0123456789abcdef0123456789abcdef")
	keyed := hmac.New(sha256.New, key)
	io.WriteString(keyed, number)
	salted := sha256.Sum256(append(slices.Clone(key), number...))
	plain := sha256.Sum256([]byte(number))
	short := sha1.Sum([]byte(number))
	old := md5.Sum([]byte(number))
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	io.WriteString(zip, "a number: "+number)
	zip.Close()
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	for form, b := range map[string][]byte{
		"clear": []byte(number), "SHA-256": plain[:12], "SHA-1": short[:], "MD5": old[:], "HMAC": keyed.Sum(nil), "salted": salted[:],
		"gzip": packed.Bytes(), "zstd": enc.EncodeAll([]byte(number), nil),
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "f"), append([]byte("before"), append(b, "after"...)...), 0o600); err != nil {
			t.Fatal(err)
		}
		s := newSearch(t, people, 1000)
		s.secrets = [][]byte{key}
		s.read(dir, nil)
		if found := s.try(); len(found) != 1 || !strings.Contains(found[0], number) {
			t.Errorf("%s: found %q", form, found)
		}
	}
	for _, of := range people.exact {
		for form, b := range exactForms(of) {
			s := newSearch(t, people, 0)
			s.bytes("f", append([]byte("before"), append(b, "after"...)...))
			if len(s.lookUp()) == 0 {
				t.Errorf("%q as %s is not found", of, form)
			}
		}
	}
	s := newSearch(t, people, 1000)
	s.read(t.TempDir(), nil)
	if found := append(s.try(), s.lookUp()...); len(found) != 0 {
		t.Errorf("found %q in nothing", found)
	}
}

// A crowd is who was shown, among all whose numbers are tried.
type crowd struct {
	codes    []string // as a scanner's bytes
	exact    []string // names and numbers
	recorded int      // rows that they make at least
}

// candidate returns the n-th number that may be somebody's: born in Huế in 1990.
func (*crowd) candidate(n int) string { return fmt.Sprintf("0461%08d", 90_000_000-5_000_000+n) }

// corpus returns codes of people whose numbers are among the first n candidates, as
// scanners send them that are set up well and badly.
func corpus(n int) *crowd {
	c := &crowd{}
	add := func(text string, exact ...string) {
		c.codes, c.exact = append(c.codes, text), append(c.exact, exact...)
	}
	for i := range 12 {
		number, name := c.candidate((i*7919+13)%n), fmt.Sprintf("Quỳnhzyq%c Vượngxwv%c", 'a'+i, 'a'+i)
		cccd := number + "|191234567|" + name + "|02031990|Nữ|Tổ 3, Thủy Xuânqzj|10052021"
		bhyt := fmt.Sprintf("TE14620%s|%x|01/02/1990|1|%x|46 - 001|01/07/2021|30/06/2022|15/06/2021|%s|-|4|01/07/2026|0123456789abcdef-1234|$", number[4:], name, "Huếqzj", "04"+number)
		switch i {
		case 0, 1, 2:
			add(cccd, number, name)
			c.recorded++
		case 3: // a card of 2024 with parents and cancelled numbers
			add(cccd+"|"+c.candidate(n-1)+"|Chaqzjx Mẹqzjx", number, name, "Chaqzjx")
			c.recorded++
		case 4:
			add(bhyt, number[4:], name)
			c.recorded++
		case 5:
			add("******001234|"+strings.ToUpper(name)+"|1990-**-**|0|"+number+"|1:"+number, number, strings.ToUpper(name))
		case 6: // letters of another code page
			latin, err := charmap.Windows1258.NewEncoder().String(strings.ToValidUTF8(cccd, ""))
			if err != nil {
				latin = string([]rune(strings.Map(func(r rune) rune { return r & 0xff }, cccd)))
			}
			add(latin, number)
		case 7: // a French keyboard for one that is not
			add(strings.NewReplacer("0", "à", "1", "&", "2", "é", "3", "\"", "4", "'", "5", "(", "6", "-", "7", "è", "8", "_", "9", "ç", "|", "-").Replace(cccd), name)
		case 8: // Alt and the keys of the number pad, where nobody understands them
			var b strings.Builder
			for _, r := range cccd {
				if r < 0x80 {
					b.WriteRune(r)
				} else {
					fmt.Fprintf(&b, "%04d", r)
				}
			}
			add(b.String(), number)
			c.recorded++
		case 9:
			add("HC1:6BF"+number+strings.ToUpper(name[:3]), number)
		case 10:
			add("shc:/"+number+number, number)
		case 11: // an AIM identifier that nobody cut off, and no code at all
			add("]Q1"+cccd, number, name)
			add("https://example.vn/khai-bao?cccd="+number+"&ten="+name, number, name)
			add("QG1"+number+"AAAA", number)
		}
	}
	return c
}

// phones enters a telephone number on the kiosk's screen.
func (c *crowd) phones(t *testing.T, screen string) {
	t.Helper()
	const number = "0905987123"
	c.exact, c.recorded = append(c.exact, number, number[1:]), c.recorded+1
	resp, err := http.Get("http://" + screen + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	token := regexp.MustCompile(`name="token" content="([^"]+)"`).FindSubmatch(page)
	if err != nil || token == nil {
		t.Fatalf("the screen's page has no token: %v: %.300s", err, page)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+screen+"/phone", strings.NewReader(`{"phone": "`+number+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-QRGate-Token", string(token[1]))
	if resp, err = http.DefaultClient.Do(req); err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		t.Fatalf("the screen answers %s", resp.Status)
	}
}

// held holds a code up and takes any answer.
func (v *visited) held(text string) {
	v.t.Helper()
	v.hold(text, "")
}

// A search is of what a thief has.
type search struct {
	t       *testing.T
	people  *crowd
	number  int // of candidates
	all     [][]byte
	names   []string
	secrets [][]byte // keys and salts
	size    int

	windows []uint64 // every eight bytes of all, sorted
	maybe   []uint64 // a bit for each that may be among them
}

func newSearch(t *testing.T, people *crowd, candidates int) *search {
	return &search{t: t, people: people, number: candidates}
}

func (s *search) bytes(name string, b []byte) {
	s.all, s.names, s.size = append(s.all, b), append(s.names, name), s.size+len(b)
	s.unpack(name, b)
}

// read takes all files below dir but those that without leaves out.
func (s *search) read(dir string, without func(name string) bool) {
	s.t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || without != nil && without(d.Name()) {
			return err
		}
		b, err := os.ReadFile(path)
		s.bytes(path, b)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// maxUnpacked bounds what one stream holds.
const maxUnpacked = 16 << 20

// unpack takes what is compressed within b.
func (s *search) unpack(name string, b []byte) {
	for magic, open := range map[string]func(io.Reader) (io.Reader, error){
		"\x1f\x8b\x08":     func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) },
		"\x28\xb5\x2f\xfd": func(r io.Reader) (io.Reader, error) { return zstd.NewReader(r, zstd.WithDecoderConcurrency(1)) },
	} {
		for from := 0; ; from++ {
			i := bytes.Index(b[from:], []byte(magic))
			if i < 0 {
				break
			}
			from += i
			r, err := open(bytes.NewReader(b[from:]))
			if err != nil {
				continue
			}
			plain, _ := io.ReadAll(io.LimitReader(r, maxUnpacked)) // what follows the stream is none
			if len(plain) > 0 {
				s.all, s.names, s.size = append(s.all, plain), append(s.names, name+", unpacked"), s.size+len(plain)
			}
		}
	}
}

// opened opens what the kiosk's keys open in its outbox: no box at all.
func (s *search) opened(p *play, path string) {
	p.Helper()
	q, err := outbox.Open(p.ctx, path, outbox.Options{Now: func() when.Reading { return when.Reading{} }})
	if err != nil {
		p.Fatal(err)
	}
	defer q.Close()
	seed := p.kioskKey().Seed()
	public := []byte(p.kioskKey().Public().(ed25519.PublicKey))
	boxes := 0
	for from := uint64(1); from <= q.Stats().Last; {
		run, err := q.Peek(from, 256)
		if err != nil || len(run.Records) == 0 {
			p.Fatalf("Peek(%d): %v", from, err)
		}
		contexts := map[uint64]wire.Context{}
		for _, c := range run.Contexts {
			contexts[c.ID] = c
		}
		for _, raw := range run.Records {
			r, _, err := wire.DecodeRecord(raw)
			if err != nil {
				p.Fatal(err)
			}
			from++
			if len(r.Box) == 0 {
				continue
			}
			boxes++
			for _, key := range [][]byte{seed, public} {
				o, err := seal.NewOpener(map[uint32][]byte{r.Sealed().Key: key})
				if err != nil {
					continue
				}
				if plain, err := o.Open(contexts[r.Context], wire.AdditionalData(p.kiosk.ID, run.Epoch, r.Header), r.Sealed()); err == nil {
					s.bytes("an opened box", plain)
					p.Error("the kiosk's key opens a box")
				}
			}
		}
	}
	if boxes < s.people.recorded {
		p.Errorf("%d boxes in the outbox, want at least %d", boxes, s.people.recorded)
	}
}

// keys takes every key that lies in the kiosk's identity, and what a number may be salted
// with.
func (s *search) keys(p *play) {
	p.Helper()
	key := p.kioskKey()
	s.secrets = append(s.secrets, key.Seed(), key, key.Public().(ed25519.PublicKey), []byte(p.kiosk.ID), []byte("qrgate"))
	files, err := filepath.Glob(filepath.Join(p.kiosk.Dir, "identity", "*.cbor"))
	if err != nil {
		p.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			p.Fatal(err)
		}
		for _, next := range bytes.SplitAfter(b, []byte{0x58, 0x20})[1:] { // 32 bytes in CBOR
			if len(next) >= 32 {
				s.secrets = append(s.secrets, next[:32])
			}
		}
	}
}

// none checks that nothing is found.
func (s *search) none(where string) {
	s.t.Helper()
	for _, f := range append(s.lookUp(), s.try()...) {
		s.t.Errorf("%s: %s", where, f)
	}
	s.t.Logf("%s: %d files and streams of %d bytes searched for %d names and numbers, %d numbers tried with %d keys", where, len(s.all), s.size, len(s.people.exact), s.number, len(s.secrets))
}

// exactForms are the ways in which a name or number may have been written.
func exactForms(of string) map[string][]byte {
	forms := map[string][]byte{"clear": []byte(of), "hex": fmt.Appendf(nil, "%x", of)}
	wide := utf16.Encode([]rune(of))
	little, big := make([]byte, 2*len(wide)), make([]byte, 2*len(wide))
	for i, u := range wide {
		binary.LittleEndian.PutUint16(little[2*i:], u)
		binary.BigEndian.PutUint16(big[2*i:], u)
	}
	forms["UTF-16, little end first"], forms["UTF-16, big end first"] = little, big
	if strings.Trim(of, "0123456789") != "" {
		return forms
	}
	var n uint64
	bcd := make([]byte, (len(of)+1)/2)
	for i := range of {
		n = n*10 + uint64(of[i]-'0')
		bcd[i/2] |= (of[i] - '0') << (4 * (1 - i%2))
	}
	forms["BCD"] = bcd
	forms["integer, little end first"] = binary.LittleEndian.AppendUint64(nil, n)
	forms["integer, big end first"] = binary.BigEndian.AppendUint64(nil, n)
	return forms
}

// lookUp looks for names and numbers that were shown.
func (s *search) lookUp() (found []string) {
	for _, of := range s.people.exact {
		for form, b := range exactForms(of) {
			for i, file := range s.all {
				if bytes.Contains(file, b) {
					found = append(found, fmt.Sprintf("%s: %q as %s", s.names[i], of, form))
				}
			}
		}
	}
	return found
}

// bits is how large the first sieve of windows is: 2^27 of them take 16 MiB.
const bits = 27

func sieve(w uint64) uint64 { return w * 0x9e3779b97f4a7c15 >> (64 - bits) }

func (s *search) index() {
	s.windows, s.maybe = make([]uint64, 0, s.size), make([]uint64, 1<<(bits-6))
	for _, b := range s.all {
		for i := 0; i+8 <= len(b); i++ {
			w := binary.BigEndian.Uint64(b[i:])
			s.windows = append(s.windows, w)
			s.maybe[sieve(w)>>6] |= 1 << (sieve(w) & 63)
		}
	}
	slices.Sort(s.windows)
}

// has reports whether eight bytes are somewhere.
func (s *search) has(b []byte) bool {
	w := binary.BigEndian.Uint64(b)
	if h := sieve(w); s.maybe[h>>6]>>(h&63)&1 == 0 {
		return false
	}
	_, ok := slices.BinarySearch(s.windows, w)
	return ok
}

// try tries every candidate: in clear, as a digest, and as a digest with each key. Eight
// bytes of a digest are enough.
func (s *search) try() (found []string) {
	s.index()
	var mu sync.Mutex
	var workers sync.WaitGroup
	each := runtime.GOMAXPROCS(0)
	for w := range each {
		workers.Go(func() {
			keyed := make([]hash.Hash, len(s.secrets))
			for i, key := range s.secrets {
				keyed[i] = hmac.New(sha256.New, key)
			}
			var sum, salted []byte
			report := func(n int, form string) {
				mu.Lock()
				defer mu.Unlock()
				found = append(found, fmt.Sprintf("%s as %s", s.people.candidate(n), form))
			}
			for n := w; n < s.number; n += each {
				number := []byte(s.people.candidate(n))
				if s.has(number[len(number)-8:]) && s.contains(number) {
					report(n, "clear")
				}
				plain, short, old := sha256.Sum256(number), sha1.Sum(number), md5.Sum(number)
				if s.has(plain[:]) || s.has(short[:]) || s.has(old[:]) {
					report(n, "digest")
				}
				for i, key := range s.secrets {
					keyed[i].Reset()
					keyed[i].Write(number)
					sum = keyed[i].Sum(sum[:0])
					salted = append(append(salted[:0], key...), number...)
					if before := sha256.Sum256(salted); s.has(sum) || s.has(before[:]) {
						report(n, fmt.Sprintf("digest with key %d", i))
					}
				}
			}
		})
	}
	workers.Wait()
	return found
}

func (s *search) contains(b []byte) bool {
	return slices.ContainsFunc(s.all, func(file []byte) bool { return bytes.Contains(file, b) })
}

// all returns all that was logged.
func (l *log) all() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Clone(l.b.Bytes())
}
