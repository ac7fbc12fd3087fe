package pairing_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/unicode/norm"

	"github.com/qrgate/qrgate/sync/pairing"
	"github.com/qrgate/qrgate/sync/seal"
	"github.com/qrgate/qrgate/sync/wire"
)

var now = time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC)

// A host is a server as a kiosk first meets it.
type host struct {
	ca     []byte
	root   ed25519.PrivateKey
	keys   []byte
	opener *seal.Opener
}

func newHost(t testing.TB) *host {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CA"}, NotAfter: now.AddDate(20, 0, 0), IsCA: true, BasicConstraintsValid: true}
	h := &host{}
	if h.ca, err = x509.CreateCertificate(rand.Reader, cert, cert, key.Public(), key); err != nil {
		t.Fatal(err)
	}
	_, h.root, _ = ed25519.GenerateKey(rand.Reader)
	_, receipts, _ := ed25519.GenerateKey(rand.Reader)
	private := bytes.Repeat([]byte{7}, 32)
	if h.opener, err = seal.NewOpener(map[uint32][]byte{1: private}); err != nil {
		t.Fatal(err)
	}
	public := publicX25519(t, private)
	h.keys = wire.Seal(wire.ForKeys, 1, h.root, wire.KeyList{V: 1, Keys: []wire.Key{
		{ID: 1, Purpose: wire.ForSeal, Public: public}, {ID: 1, Purpose: wire.ForReceipt, Public: receipts.Public().(ed25519.PublicKey)},
	}})
	return h
}

func (h *host) public() ed25519.PublicKey { return h.root.Public().(ed25519.PublicKey) }

func (h *host) hello() []byte {
	return wire.Encode(wire.EnrolHello{V: 1, CA: h.ca, Root: h.public(), Keys: h.keys})
}

func (h *host) code() pairing.Code {
	return pairing.Code{Address: "https://qr.example.vn:8443", Token: [16]byte{1, 2, 3}, Fingerprint: pairing.Fingerprint(h.ca, h.public())}
}

func TestCode(t *testing.T) {
	c := newHost(t).code()
	text := c.String()
	if strings.Trim(text, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:") != "" {
		t.Errorf("%q does not fit QR's alphanumeric mode", text)
	}
	if got, err := pairing.Parse(text); err != nil || got != c {
		t.Errorf("Parse(%q) = %+v, %v, want %+v", text, got, err, c)
	}
	for name, bad := range map[string]string{
		"empty": "", "prefix": "QGE1", "card": "QG1" + text[4:], "short": text[:67], "no address": text[:68], "lower case": strings.ToLower(text),
		"other scheme": strings.Replace(text, "HTTPS", "FTP", 1), "user": strings.Replace(text, "://", "://ME@", 1), "path": text + "/X",
		"line end": text[:30] + "\n" + text[30:], "line end in place": text[:30] + "\n" + text[31:], "query": text + "?A", "long": text + strings.Repeat("A", 200),
		"digit": text[:20] + "1" + text[21:], "port": strings.Replace(text, "8443", "X", 1),
	} {
		if got, err := pairing.Parse(bad); !errors.Is(err, pairing.ErrCode) {
			t.Errorf("Parse(%s) = %+v, %v, want ErrCode", name, got, err)
		}
	}
	for address, ok := range map[string]bool{"https://qr.example.vn": true, "http://127.0.0.1:8080": true, "http://[::1]:8080": false, "https://QR.example.vn": false, "qr.example.vn": false} {
		if err := pairing.CheckAddress(address); (err == nil) != ok {
			t.Errorf("CheckAddress(%q) = %v", address, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("QGE1" + strings.Repeat("A", 64) + "HTTPS://QR.EXAMPLE.VN")
	f.Add("QGE1" + strings.Repeat("A", 63) + "\nHTTPS://QR.EXAMPLE.VN:443")
	f.Fuzz(func(t *testing.T, text string) {
		if c, err := pairing.Parse(text); err == nil && c.String() != text {
			t.Errorf("Parse(%q) is %q written again", text, c.String())
		}
	})
}

// Without their marks no two words are the same, and none of them is a phrase.
func TestWordsAreTold(t *testing.T) {
	seen := map[string]string{}
	for _, word := range pairing.List() {
		bare := strings.Map(func(r rune) rune {
			switch {
			case unicode.Is(unicode.Mn, r):
				return -1
			case r == 'đ':
				return 'd'
			}
			return r
		}, norm.NFD.String(word))
		if other, twice := seen[bare]; twice || !norm.NFC.IsNormalString(word) {
			t.Errorf("%q and %q are both %q", word, other, bare)
		}
		seen[bare] = word
	}
	if len(seen) != 256 {
		t.Errorf("%d words, want one for each byte", len(seen))
	}
}

func TestWordsTellKeysCodesAndServersApart(t *testing.T) {
	c := newHost(t).code()
	key := bytes.Repeat([]byte{1}, 32)
	words := pairing.Words(c, key)
	if again := pairing.Words(c, key); again != words || len(strings.Fields(words)) != 4 {
		t.Fatalf("Words = %q, then %q", words, again)
	}
	other, code, server := bytes.Clone(key), c, c
	other[0]++
	code.Token[0]++
	server.Fingerprint[0]++
	for name, got := range map[string]string{"key": pairing.Words(c, other), "token": pairing.Words(code, key), "server": pairing.Words(server, key)} {
		if got == words {
			t.Errorf("another %s has the same words %q", name, words)
		}
	}
}

func TestRequestReachesTheServerAlone(t *testing.T) {
	h := newHost(t)
	c := h.code()
	server, err := c.Hello(h.hello())
	if err != nil {
		t.Fatal(err)
	}
	_, key, _ := ed25519.GenerateKey(rand.Reader)
	request, err := server.Ask(c, key, wire.EnrolRequest{Nonce: [16]byte{9}, Release: "1.0"}, time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(request, c.Token[:]) || bytes.Contains(request, key.Public().(ed25519.PublicKey)) {
		t.Error("a request shows its token or its key to whoever passes it on")
	}
	r, err := pairing.Open(request, h.opener)
	if err != nil || r.Token != c.Token || !bytes.Equal(r.Public, key.Public().(ed25519.PublicKey)) || r.Release != "1.0" {
		t.Errorf("Open = %+v, %v", r, err)
	}
	for i := range request {
		bad := bytes.Clone(request)
		bad[i] ^= 1
		// Some of the envelope's own bytes mean nothing; what was asked stays the same.
		if got, err := pairing.Open(bad, h.opener); err == nil && !cmp.Equal(got, r) {
			t.Errorf("with byte %d changed the request was %+v", i, got)
		}
	}
}

// Whoever stands between the two and puts a CA or a root of his own into the hello is
// found out by the code alone.
func TestHelloOfAnotherServer(t *testing.T) {
	h, other := newHost(t), newHost(t)
	c := h.code()
	for name, hello := range map[string]wire.EnrolHello{
		"CA":             {V: 1, CA: other.ca, Root: h.public(), Keys: h.keys},
		"root":           {V: 1, CA: h.ca, Root: other.public(), Keys: other.keys},
		"keys":           {V: 1, CA: h.ca, Root: h.public(), Keys: other.keys},
		"version":        {V: 2, CA: h.ca, Root: h.public(), Keys: h.keys},
		"moved boundary": {V: 1, CA: append(bytes.Clone(h.ca), h.public()[0]), Root: h.public()[1:], Keys: h.keys},
	} {
		if _, err := c.Hello(wire.Encode(hello)); err == nil {
			t.Errorf("a hello with another %s was believed", name)
		}
	}
}

func FuzzHelloAndOpen(f *testing.F) {
	h := newHost(f)
	f.Add(h.hello())
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := h.code().Hello(b); (err == nil) != (s != nil) {
			t.Errorf("Hello = %v, %v", s, err)
		}
		if _, err := pairing.Open(b, h.opener); err == nil {
			t.Error("a request that nobody sealed was opened")
		}
	})
}
