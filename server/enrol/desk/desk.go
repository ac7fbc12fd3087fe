// Package desk is the server's side of a kiosk's identity: it makes codes for new
// kiosks and answers them, and renews certificates.
//
//	d, err := desk.New(desk.Parts{...}, desk.Options{})
//	offer, err := d.Offer(ctx, by, door, replaces) // shown as d.Code(offer)
//	answer, err := d.Enrol(ctx, request, from)     // of a kiosk that has read it
//	answer, err = d.Renew(ctx, request, from)
//	go d.Run(ctx) // with d.Beat among ingest's Beats
//
// The promise: the database holds no token, only a hash of each; a certificate goes to
// the key that somebody has agreed to and to no other. What is answered is signed, so
// that it does not matter who carries it.
//
// Left out: who may make and agree to a code (the portal), and what is kept (package
// enrolment below store).
package desk

import (
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/qrgate/qrgate/server/enrol"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/signin"
	"github.com/qrgate/qrgate/server/store/enrolment"
	"github.com/qrgate/qrgate/sync/pairing"
	"github.com/qrgate/qrgate/sync/seal"
	"github.com/qrgate/qrgate/sync/wire"
)

// Lasts is how long a code is worth something.
const Lasts = 15 * time.Minute

// Errors of requests. Others are the server's own.
var (
	ErrMalformed = errors.New("desk: not a request")
	ErrTooMany   = errors.New("desk: too many tries")
)

// A Kiosks knows the kiosks; *store.Store is one.
type Kiosks interface {
	Kiosk(ctx context.Context, id string) (qrgate.Kiosk, error)
}

// Parts are what a desk works with. All are required.
type Parts struct {
	Enrolments *enrolment.Enrolments
	Kiosks     Kiosks
	Keys       *enrol.Keys
	CA         *enrol.CA
	Opener     *seal.Opener
	Sign       wire.Signer // the receipt key
	Tokens     []byte      // from which tokens are made, the same on every server
	Portal     string      // address that codes name
	Broker     string      // tls://host:port that kiosks are told
	BrokerName string      // in its certificate
}

// Options are the optional parts of a desk.
type Options struct {
	Now func() time.Time // default time.Now
	Log *slog.Logger     // default: nothing is logged
}

// A Desk enrols kiosks and renews their certificates. It is safe for concurrent use.
type Desk struct {
	Parts
	now   func() time.Time
	log   *slog.Logger
	print [24]byte
	tries *signin.Limiter

	asks  chan string
	mu    sync.Mutex
	ready map[string][]byte // certificates that wait for a kiosk's next beat
}

// New returns a desk.
func New(p Parts, o Options) *Desk {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Desk{
		Parts: p, now: o.Now, log: o.Log, print: pairing.Fingerprint(p.CA.Raw(), p.Keys.Root()),
		// Ten wrong codes at once from one address, then one a minute.
		tries: signin.NewLimiter(signin.LimitOptions{Account: signin.Rate{Burst: 10, Every: time.Minute}, Network: signin.Rate{Burst: 100, Every: 10 * time.Second}}),
		asks:  make(chan string, 256), ready: map[string][]byte{},
	}
}

// Offer makes a code for a door. replaces names the kiosk whose gate the new one takes
// over, or is empty.
func (d *Desk) Offer(ctx context.Context, by string, door enrolment.Door, replaces string) (*enrolment.Offer, error) {
	o := &enrolment.Offer{ID: strings.ToLower(rand.Text()), Door: door, Replaces: replaces, Kiosk: newID(door), Until: d.now().Add(Lasts)}
	token := d.token(o.ID)
	o.Hash = sha256.Sum256(token[:])
	if err := d.Enrolments.Offer(ctx, by, o); err != nil {
		return nil, err
	}
	return o, nil
}

// newID names a kiosk so that people who read it know where it stands.
func newID(door enrolment.Door) string {
	gate := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, strings.ToLower(door.Gate))
	return strings.ReplaceAll(fmt.Sprintf("k%d-%s-%s", door.PlaceNo, gate, strings.ToLower(rand.Text()[:6])), "--", "-")
}

// token returns that of a code, which nobody keeps.
func (d *Desk) token(id string) (t [16]byte) {
	mac := hmac.New(sha256.New, d.Tokens)
	mac.Write([]byte(id))
	copy(t[:], mac.Sum(nil))
	return t
}

// Fingerprint returns by what codes name this server.
func (d *Desk) Fingerprint() [24]byte { return d.print }

// Code returns what the QR of an offer says.
func (d *Desk) Code(o *enrolment.Offer) pairing.Code {
	return pairing.Code{Address: d.Portal, Token: d.token(o.ID), Fingerprint: d.print}
}

// Hello returns what the server says of itself.
func (d *Desk) Hello() []byte {
	return wire.Encode(wire.EnrolHello{V: wire.Version, CA: d.CA.Raw(), Root: d.Keys.Root(), Keys: d.Keys.Signed()})
}

// Enrol answers a kiosk's request that came from an address.
func (d *Desk) Enrol(ctx context.Context, data []byte, from netip.Addr) ([]byte, error) {
	now := d.now()
	try, wait := d.tries.Try(now, from.String(), from)
	if wait > 0 {
		return nil, ErrTooMany
	}
	r, err := pairing.Open(data, d.Opener)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	a := wire.EnrolAnswer{V: wire.Version, Nonce: r.Nonce, Public: r.Public, Time: now.UnixMilli()}
	words := pairing.Words(pairing.Code{Token: r.Token, Fingerprint: d.print}, r.Public)
	o, err := d.Enrolments.Ask(ctx, sha256.Sum256(r.Token[:]), r.Public, words, model(r))
	switch {
	case errors.Is(err, enrolment.ErrClosed):
		a.State, a.Closed = wire.EnrolEnded, true
		try.Refund(now)
	case errors.Is(err, qrgate.ErrNotFound):
		a.State = wire.EnrolEnded
	case errors.Is(err, qrgate.ErrConflict):
		a.State = wire.EnrolRefused
	case err != nil:
		try.Refund(now)
		return nil, err
	default:
		try.Refund(now)
		if err := d.tell(ctx, o, &a); err != nil {
			return nil, err
		}
	}
	return wire.Seal(wire.ForEnrol, d.Sign.ID, d.Sign.Key, a), nil
}

// model is what a kiosk says of itself, as far as a page may show it.
func model(r *wire.EnrolRequest) string {
	return strings.ToValidUTF8(strings.Map(func(r rune) rune {
		if r < ' ' {
			return -1
		}
		return r
	}, strings.TrimSpace(r.Model+" "+r.Release)), "")
}

func (d *Desk) tell(ctx context.Context, o *enrolment.Offer, a *wire.EnrolAnswer) error {
	switch o.State {
	case enrolment.Asked:
		a.State = wire.EnrolWait
		return nil
	case enrolment.Granted:
	default:
		a.State = wire.EnrolRefused
		return nil
	}
	// A kiosk that was revoked in between gets nothing.
	k, err := d.Kiosks.Kiosk(ctx, o.Kiosk)
	if err != nil {
		return err
	}
	if k.State != qrgate.KioskActive {
		a.State = wire.EnrolRefused
		return nil
	}
	cert, err := d.CA.Kiosk(o.Kiosk, o.Public, d.now())
	if err != nil {
		return err
	}
	a.State, a.Kiosk, a.Certificate = wire.EnrolGranted, o.Kiosk, cert
	a.Place, a.Gate, a.Lane, a.Direction = o.Place, o.Gate, o.Lane, o.Direction
	a.Broker, a.BrokerName, a.Portal = d.Broker, d.BrokerName, d.Portal
	return d.Enrolments.Collected(ctx, o.ID)
}

// Renew answers a kiosk that asks whether it is still one, and for a certificate.
func (d *Desk) Renew(ctx context.Context, data []byte, from netip.Addr) ([]byte, error) {
	now := d.now()
	try, wait := d.tries.Try(now, from.String(), from)
	if wait > 0 {
		return nil, ErrTooMany
	}
	id, err := wire.PeekRenewRequest(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	known, err := d.Enrolments.Identity(ctx, id)
	if err != nil {
		return nil, err
	}
	public := ed25519.PublicKey(known.Kiosk.Public)
	r, err := wire.OpenRenewRequest(data, id, public)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	try.Refund(now)
	a := wire.RenewAnswer{V: wire.Version, Kiosk: id, Nonce: r.Nonce, Time: now.UnixMilli()}
	if known.Kiosk.State != qrgate.KioskActive {
		a.State, a.Wipe = wire.RenewRevoked, known.Wipe
		if r.Wiped && known.Wipe {
			err = d.Enrolments.Wiped(ctx, id)
		}
	} else if err = d.CA.Renewable(r.Certificate, id, public, now); errors.Is(err, enrol.ErrEnded) {
		a.State, err = wire.RenewTooOld, nil
	} else if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	} else {
		a.State = wire.RenewGranted
		a.Certificate, err = d.CA.Kiosk(id, public, now)
	}
	if err != nil {
		return nil, err
	}
	return wire.Seal(wire.ForRenew, d.Sign.ID, d.Sign.Key, a), nil
}
