package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/qrgate/qrgate/device/agent"
	"github.com/qrgate/qrgate/device/room"
	"github.com/qrgate/qrgate/sync/deliver"
	"github.com/qrgate/qrgate/sync/wire"
)

// everybody signs all in these tests.
var everybody = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))

// beEnrolled writes a kiosk's identity into a folder.
func beEnrolled(t *testing.T, dir, kiosk string) *agent.Identity {
	t.Helper()
	public := everybody.Public().(ed25519.PublicKey)
	private, err := x509.MarshalPKCS8PrivateKey(everybody)
	spki, e := x509.MarshalPKIXPublicKey(public)
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: kiosk}, NotAfter: time.Now().Add(time.Hour)}
	cert, e2 := x509.CreateCertificate(rand.Reader, c, c, public, everybody)
	keys := wire.KeyList{V: wire.Version, Stamp: wire.Stamp{Generation: 1, Version: 1}}
	for _, p := range []wire.Purpose{wire.ForReceipt, wire.ForConfig} {
		keys.Keys = append(keys.Keys, wire.Key{ID: 7, Purpose: p, Public: public})
	}
	keys.Keys = append(keys.Keys, wire.Key{ID: 8, Purpose: wire.ForSeal, Public: bytes.Repeat([]byte{9}, 32)})
	err = errors.Join(err, e, e2, os.WriteFile(filepath.Join(dir, "keys.cbor"), wire.Seal(wire.ForKeys, 0, everybody, keys), 0o600))
	for name, b := range map[string]pem.Block{
		"kiosk.key": {Type: "PRIVATE KEY", Bytes: private}, "root.pub": {Type: "PUBLIC KEY", Bytes: spki},
		"kiosk.pem": {Type: "CERTIFICATE", Bytes: cert}, "ca.pem": {Type: "CERTIFICATE", Bytes: cert},
	} {
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&b), 0o600))
	}
	if err != nil {
		t.Fatal(err)
	}
	id, err := agent.ReadIdentity(dir)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// Events and settings that a door which is stopped takes from a stick are there when it runs.
func TestADoorThatIsStoppedKeepsWhatItTakes(t *testing.T) {
	state, stick := t.TempDir(), t.TempDir()
	id := beEnrolled(t, state, "dong-ba-gate-1")
	c, err := parseConfig(reference(t))
	if err != nil {
		t.Fatal(err)
	}
	c.State, c.Identity = state, state

	doc := wire.ConfigDoc{V: wire.Version, Kiosk: id.Kiosk, Stamp: wire.Stamp{Generation: 1, Version: 1}, Door: c.Door}
	doc.Door.Gate = "B2"
	event := wire.Event{No: 5, Stamp: wire.Stamp{Generation: 1, Version: 1}, From: time.Now().UnixMilli(), To: time.Now().Add(time.Hour).UnixMilli()}
	var back bytes.Buffer
	err = deliver.WriteBundle(&back, id.Kiosk, func(yield func([]byte, error) bool) {
		_ = yield(wire.Seal(wire.ForConfig, 7, everybody, doc), nil) && yield(wire.SealEvent(&event, 7, everybody), nil)
	})
	if err := errors.Join(err, os.WriteFile(filepath.Join(stick, id.Kiosk+".receipts"), back.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
	r, err := exportStopped(t.Context(), environment{stderr: io.Discard}, c, id, stick)
	if err != nil || r.Beside != 2 || r.Refused != 0 {
		t.Fatalf("exportStopped() = %+v, %v; want two messages taken", r, err)
	}

	kept, err := openSettings(c, id, newLog(io.Discard, 0))
	if err != nil {
		t.Fatal(err)
	}
	if running := kept.Running(); running == nil || running.Door.Gate != "B2" {
		t.Errorf("settings %+v, want those of the stick", running)
	}
	inside, err := room.Open(c.room(), id.Key)
	if err != nil {
		t.Fatal(err)
	}
	defer inside.Close()
	if held := inside.Beat().Events; len(held) != 1 || held[0].No != event.No {
		t.Errorf("events %+v, want that of the stick", held)
	}
}
