package enrol_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/enrol"
)

// A list holds each certificate that a revoked key was given, whenever that was, until
// it has ended, and nobody else's.
func TestRevocationListHoldsEveryCertificateOfAKey(t *testing.T) {
	i := newInstall(t)
	gone, _ := newKey(t)
	stays, _ := newKey(t)
	path := filepath.Join(t.TempDir(), "revoked.crl")
	write := func(at time.Time, all ...enrol.Revoked) (*x509.RevocationList, bool) {
		t.Helper()
		changed, err := i.ca.WriteRevocationList(path, all, at)
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode(text)
		l, err := x509.ParseRevocationList(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		return l, changed
	}
	serial := func(public []byte, at time.Time) *big.Int {
		b, err := i.ca.Kiosk(kiosk, public, at)
		if err != nil {
			t.Fatal(err)
		}
		return parseCert(t, b).SerialNumber
	}
	holds := func(l *x509.RevocationList, n *big.Int) bool {
		for _, e := range l.RevokedCertificateEntries {
			if e.SerialNumber.Cmp(n) == 0 {
				return true
			}
		}
		return false
	}

	empty, changed := write(now)
	if !changed || len(empty.RevokedCertificateEntries) != 0 {
		t.Fatalf("the first list has %d entries, changed %t", len(empty.RevokedCertificateEntries), changed)
	}
	revoked := enrol.Revoked{Public: gone, Since: now}
	l, changed := write(now, revoked)
	if !changed || !l.ThisUpdate.After(empty.ThisUpdate) || l.ThisUpdate.After(now) {
		t.Errorf("the next list is of %v after %v, changed %t", l.ThisUpdate, empty.ThisUpdate, changed)
	}
	for days := range int(enrol.KioskLife / (24 * time.Hour)) {
		if at := now.AddDate(0, 0, -days); !holds(l, serial(gone, at)) {
			t.Errorf("the list lacks the certificate of %d days ago", days)
		} else if holds(l, serial(stays, at)) {
			t.Errorf("the list has another kiosk's certificate of %d days ago", days)
		}
	}
	if _, changed := write(now.Add(time.Hour), revoked); changed {
		t.Error("the same list was written again")
	}
	if l, _ := write(now.Add(enrol.KioskLife+4*24*time.Hour), revoked); len(l.RevokedCertificateEntries) != 0 {
		t.Errorf("%d certificates that have ended are on the list", len(l.RevokedCertificateEntries))
	}
	if l, _ := write(now); len(l.RevokedCertificateEntries) != 0 || !bytes.Equal(l.RawIssuer, empty.RawIssuer) {
		t.Error("a kiosk that was reinstated is on the list")
	}
}

func TestCertificatesOfOneDayAreOne(t *testing.T) {
	i := newInstall(t)
	public, _ := newKey(t)
	of := func(at time.Time) *big.Int {
		b, err := i.ca.Kiosk(kiosk, public, at)
		if err != nil {
			t.Fatal(err)
		}
		return parseCert(t, b).SerialNumber
	}
	day := now.Truncate(24 * time.Hour)
	if of(day).Cmp(of(day.Add(24*time.Hour-time.Second))) != 0 {
		t.Error("two numbers on one day")
	}
	if of(day).Cmp(of(day.Add(24*time.Hour))) == 0 {
		t.Error("one number on two days")
	}
}
