package enrolment

import (
	"context"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	mrand "math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/qrgate/qrgate/device/agent"
	"github.com/qrgate/qrgate/sync/wire"
)

// ErrWiped is returned when the server has said, and signed, that this machine is to
// forget who it is.
var ErrWiped = errors.New("enrolment: the server has had this kiosk wiped")

// Times of a kiosk's identity.
const (
	RenewBefore = 30 * 24 * time.Hour // before its end a certificate is asked for
	silentFor   = 45 * time.Second    // without an answer to a beat, after which the portal is asked
	silentAgain = 10 * time.Minute
)

// KeepOptions are what a Keeper works with.
type KeepOptions struct {
	Portal  string           // https://host; empty asks nobody over HTTP
	File    string           // keeps that the kiosk was revoked
	Now     func() time.Time // as the kiosk's clock believes
	Client  *http.Client     // default: one that believes no certificate, as for New
	Changed func()           // told when Revoked changes
}

// A Keeper keeps a kiosk's identity: it renews the certificate in beats, and when no
// beat is answered asks over HTTP whether it is still a kiosk. It is safe for
// concurrent use.
//
// Only what the server signs in answer to this very question locks or wipes a kiosk.
// Silence never does.
type Keeper struct {
	KeepOptions
	id  *agent.Identity
	log *slog.Logger

	mu       sync.Mutex
	revoked  bool
	answered time.Time // when a beat last was, on this machine's monotonic clock
}

// Keep returns the keeper of an identity.
func Keep(id *agent.Identity, o KeepOptions, log *slog.Logger) *Keeper {
	if o.Client == nil {
		o.Client = client()
	}
	if o.Changed == nil {
		o.Changed = func() {}
	}
	k := &Keeper{KeepOptions: o, id: id, log: log, answered: time.Now()}
	k.revoked = k.kept()
	return k
}

// kept reports whether the server's word that this kiosk was revoked is on disk.
func (k *Keeper) kept() bool {
	b, err := os.ReadFile(k.File)
	if err != nil {
		return false
	}
	var a wire.RenewAnswer
	err = wire.Open(wire.ForRenew, b, k.id.ReceiptKey, &a)
	return err == nil && a.Kiosk == k.id.Kiosk && a.State == wire.RenewRevoked
}

// Revoked reports whether the server has said that this is no kiosk of its.
func (k *Keeper) Revoked() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.revoked
}

// Part returns what a keeper has to say and to hear in beats.
func (k *Keeper) Part() agent.Part {
	return agent.Part{Fill: k.fill, Answered: k.heard}
}

func (k *Keeper) ends() time.Time { return k.id.Certificate().Leaf.NotAfter }

func (k *Keeper) fill(b *wire.Beat) {
	ends := k.ends()
	b.Cert = &wire.CertBeat{Ends: ends.UnixMilli(), Ask: ends.Sub(k.Now()) < RenewBefore}
}

// heard takes the answer to a beat, which only a kiosk that is one gets.
func (k *Keeper) heard(a *wire.BeatAnswer) {
	k.mu.Lock()
	k.answered = time.Now()
	k.mu.Unlock()
	k.lock(false, nil)
	if a.Certificate != nil {
		k.replace(a.Certificate)
	}
}

func (k *Keeper) replace(cert []byte) {
	switch err := k.id.ReplaceCertificate(cert); {
	case err == nil:
		k.log.Info("certificate renewed", "ends", k.ends())
	case !errors.Is(err, agent.ErrOld):
		k.log.Warn("renewed certificate refused", "err", err)
	}
}

// lock says whether the kiosk is revoked, and keeps the proof if it is.
func (k *Keeper) lock(revoked bool, proof []byte) {
	k.mu.Lock()
	same := k.revoked == revoked
	k.revoked = revoked
	k.mu.Unlock()
	if same {
		return
	}
	var err error
	if revoked {
		k.log.Error("this kiosk was revoked by the server")
		err = writeFile(k.File, proof)
	} else {
		k.log.Info("this kiosk is one of the server's again")
		if err = os.Remove(k.File); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	}
	if err != nil {
		k.log.Warn("that it was revoked is not kept", "err", err)
	}
	k.Changed()
}

// Run asks the portal while no beat is answered, until ctx ends. It returns ErrWiped
// when this machine has to forget who it is.
func (k *Keeper) Run(ctx context.Context) error {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	var asked time.Time
	patience, again := jitter(silentFor), jitter(silentAgain)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
		}
		k.mu.Lock()
		answered := k.answered
		k.mu.Unlock()
		// A silence that begins anew is looked into anew.
		if k.Portal == "" || time.Since(answered) < patience || asked.After(answered) && time.Since(asked) < again {
			continue
		}
		err := k.Ask(ctx)
		if errors.Is(err, ErrWiped) {
			return err
		}
		if err != nil && ctx.Err() == nil {
			k.log.Debug("portal does not say whether this is still a kiosk", "err", err)
		}
		asked = time.Now()
		patience, again = jitter(silentFor), jitter(silentAgain)
	}
}

// jitter keeps kiosks that lost one server from asking at one moment.
func jitter(d time.Duration) time.Duration { return d + mrand.N(d/2) }

// Ask asks the portal whether this is still a kiosk, and takes a certificate if the one
// that is held ends soon. It returns ErrWiped if this machine has to forget who it is.
func (k *Keeper) Ask(ctx context.Context) error {
	a, b, err := k.ask(ctx, false)
	if err != nil {
		return err
	}
	switch a.State {
	case wire.RenewGranted:
		k.lock(false, nil)
		// The server's time, not this machine's: the answer is new, and signed.
		if k.ends().Sub(time.UnixMilli(a.Time)) < RenewBefore {
			k.replace(a.Certificate)
		}
	case wire.RenewRevoked:
		k.lock(true, b)
		if a.Wipe {
			k.ask(ctx, true) // so that somebody knows; it is done without an answer too
			return ErrWiped
		}
	case wire.RenewTooOld:
		k.log.Error("the certificate ended too long ago: this kiosk has to be enrolled again")
	}
	return nil
}

func (k *Keeper) ask(ctx context.Context, wiped bool) (*wire.RenewAnswer, []byte, error) {
	r := wire.RenewRequest{V: wire.Version, Kiosk: k.id.Kiosk, Wiped: wiped}
	rand.Read(r.Nonce[:])
	r.Certificate = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: k.id.Certificate().Leaf.Raw})
	b, err := post(ctx, k.Client, k.Portal+wire.RenewPath, wire.Seal(wire.ForRenew, 0, k.id.Key, r))
	if err != nil {
		return nil, nil, fmt.Errorf("enrolment: ask: %w", err)
	}
	a, err := wire.OpenRenewAnswer(b, k.id.Kiosk, r.Nonce, k.id.ReceiptKey)
	if err != nil {
		return nil, nil, fmt.Errorf("enrolment: ask: %w", err)
	}
	return a, b, nil
}

// Wipe makes a kiosk a new one: it removes its identity, as a whole, and then what is
// at the given paths. If the power goes in between, the rest is removed by the next
// enrolment or stays as what nobody can read.
func Wipe(identity string, paths ...string) error {
	gone := filepath.Clean(identity) + ".gone"
	if err := os.RemoveAll(gone); err != nil {
		return fmt.Errorf("enrolment: wipe: %w", err)
	}
	if err := os.Rename(identity, gone); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("enrolment: wipe: %w", err)
	}
	errs := []error{syncDir(filepath.Dir(gone)), os.RemoveAll(gone), os.RemoveAll(filepath.Clean(identity) + ".new")}
	for _, p := range paths {
		found, err := filepath.Glob(p + "*")
		errs = append(errs, err)
		for _, f := range found {
			errs = append(errs, os.RemoveAll(f))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("enrolment: wipe: %w", err)
	}
	return nil
}
