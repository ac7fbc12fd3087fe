package guard

import (
	"crypto/rand"
	"crypto/subtle"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/qrgate/qrgate/sync/words"
)

// OfferTime is how long a pairing code is good.
const OfferTime = 3 * time.Minute

// An Offer is a pairing code.
type Offer struct {
	URL         string        `json:"url"`         // what the QR code says
	Fingerprint string        `json:"fingerprint"` // SHA-256 of the certificate, in groups
	For         time.Duration `json:"for"`         // how long it is good
}

// offers holds the one code that is good now. It is safe for concurrent use.
type offers struct {
	mu    sync.Mutex
	token string
	until time.Time
}

// make replaces the code.
func (o *offers) make(now time.Time) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.token, o.until = rand.Text(), now.Add(OfferTime)
	return o.token
}

// now returns the code, "" if none is good.
func (o *offers) now(now time.Time) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !now.Before(o.until) {
		o.token = ""
	}
	return o.token
}

// good reports whether token is the code, and use uses it up.
func (o *offers) good(token string, use bool, now time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.token == "" || !now.Before(o.until) || subtle.ConstantTimeCompare([]byte(token), []byte(o.token)) != 1 {
		return false
	}
	if use {
		o.token = ""
	}
	return true
}

// pairURL returns what the QR code of a pairing says.
func pairURL(host, token, fingerprint string) string {
	return "https://" + host + "/ghep?" + url.Values{"t": {token}, "h": {fingerprint}}.Encode()
}

// address returns where telephones find the page: host:port.
func address(listen, stated string) string {
	if stated != "" {
		return stated
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if own := ownIP(); own != nil {
			host = own.String()
		}
	}
	return net.JoinHostPort(host, port)
}

// ownIP returns the machine's address on the local network, nil if it has none.
func ownIP() net.IP {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var other net.IP
	for _, a := range all {
		n, ok := a.(*net.IPNet)
		if !ok || n.IP.IsLoopback() || n.IP.IsLinkLocalUnicast() {
			continue
		}
		if n.IP.To4() != nil && n.IP.IsPrivate() {
			return n.IP
		}
		if other == nil {
			other = n.IP
		}
	}
	return other
}

// Say returns what stands beside the code on the kiosk's screen.
func (o Offer) Say() (vi, en string) {
	f := strings.ReplaceAll(o.Fingerprint, " ", "")
	args := []string{"first", f[:4], "last", f[len(f)-4:]}
	return say(words.Vietnamese, "pair.screen", args...), say(words.English, "pair.screen", args...)
}
