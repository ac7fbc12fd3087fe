package e2e_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/qrgate/qrgate/sync/outbox"
	"github.com/qrgate/qrgate/sync/seal"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// Nothing that goes wrong with a kiosk holds a person in: after SIGKILL, at a reboot, at
// the end of the lease, with a full disk and when the kiosk is revoked, the relay of a
// way out has no current, at once or for whoever holds something up. At its lease's end
// the kiosk has no list any more, records all the same, and has the list again with the
// network. Who left while nothing could be recorded is known on the server afterwards.
func TestNobodyIsHeldIn(t *testing.T) {
	t.Parallel()
	p, _ := atOneDoor(t, "cho-dong-ba-ra", "Chợ Đông Ba", "")
	k := p.kiosk
	config := filepath.Join(k.Dir, "kiosk.toml")
	p.edit(config, `gate = "A1"`, "gate = \"A1\"\ndirection = \"out\"")
	p.edit(config, "[panel]", "[outbox]\nlimit_mib = 4\n[panel]")
	clerk := newClerk(t, p.stage)
	for _, name := range []string{"Nguyễn Văn An", "Trần Thị Bình"} {
		clerk.issue(name, "card")
	}
	an, binh := p.command("card", "-number", "1"), p.command("card", "-number", "2")

	t.Log("wired the other way")
	p.edit(config, "[[serial]]", "[panel.relay]\nenergise_to_open = true\n[[serial]]")
	if out, err := k.Command(t.Context(), "check-config"); err == nil || !strings.Contains(out, "energises to lock") {
		t.Errorf("check-config of a way out that needs current to open: %v: %s", err, out)
	}
	p.edit(config, "[panel.relay]\nenergise_to_open = true\n", "[panel.relay]\nopen = \"1s\"\n")
	if out, err := k.Command(t.Context(), "check-config"); err != nil {
		t.Fatalf("check-config: %v: %s", err, out)
	}

	t.Log("it works")
	k.start()
	clerk.revoke(1)
	p.told(2)
	p.coil("a door that is ready", true)
	// out holds something up and sees the door let go.
	out := func(text, want string) {
		t.Helper()
		p.coil("ready for "+want, true)
		if got := k.hold(text, want); got != want {
			t.Errorf("the lamp said %q, want %q", got, want)
		}
		p.coil("answered "+want, false)
	}
	out(binh, "admitted") // the panel knows no other word for leaving
	out(an, "refused")    // and leaves all the same
	out("8934567890123", "refused")

	t.Log("SIGKILL")
	k.kill()
	p.free("after SIGKILL")
	k.start()
	p.coil("started again", true)

	t.Log("reboot")
	k.stop()
	p.free("switched off")

	t.Log("lease end")
	p.proxy.Down.Store(true)
	list := filepath.Join(k.State(), "void.list")
	if _, err := os.Stat(list); err != nil {
		t.Fatal(err)
	}
	p.age(filepath.Join(k.State(), "lease.json"), 45*24*time.Hour)
	k.start()
	p.until("the list is given up", func() bool { _, err := os.Stat(list); return os.IsNotExist(err) })
	out(an, "admitted") // there is no list by which to refuse, and the card is genuine
	before := len(p.rows(k))
	p.proxy.Down.Store(false)
	p.until("the server has sent the list again", func() bool { _, err := os.Stat(list); return err == nil })
	out(an, "refused")
	p.until("what was recorded without a lease is on the server", func() bool { return len(p.rows(k)) >= before+2 })

	t.Log("full disk")
	k.stop()
	p.proxy.Down.Store(true)
	fill(t, filepath.Join(k.State(), "outbox.db"))
	k.start()
	out(binh, "amber")

	t.Log("a ledger with room")
	k.stop()
	err := os.Remove(filepath.Join(k.State(), "outbox.db")) // it is full
	if err != nil {
		t.Fatal(err)
	}
	p.proxy.Down.Store(false)
	k.start()
	p.until("the server knows that somebody left unrecorded", func() bool {
		rows := p.rows(k)
		return slices.ContainsFunc(rows, func(r row) bool { return r.Verdict == wire.Unrecorded.String() })
	})

	t.Log("revoked")
	k.stop()
	p.proxy.Down.Store(true)
	p.command("kiosk", "revoke", k.ID)
	p.revoked()
	k.start()
	out(binh, "admitted") // a way out goes on as it was

	t.Log("revoked, and a way in that is also a way out")
	k.stop()
	p.edit(config, `direction = "out"`, `direction = "in"`)
	p.edit(config, `kind = "lines"`, "kind = \"lines\"\negress = true")
	if k.run, err = k.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if k.await(30*time.Second, "locked") == "" {
		t.Fatal("a way in of a kiosk that was revoked is not locked")
	}
	p.free("locked")
	if got := k.hold(binh, "locked"); got != "locked" {
		t.Errorf("the lamp said %q, want locked", got)
	}
	p.free("locked, and somebody holds a card up")
}

// coil waits until the relay's coil has current, or none.
func (p *play) coil(when string, current bool) {
	p.Helper()
	p.until(when+": the coil has current or not", func() bool {
		got, err := coilHeld(p.kiosk.Lamps() + ".coil")
		return err == nil && got == current
	})
}

// free checks that the coil has no current, and gets none.
func (p *play) free(when string) {
	p.Helper()
	for end := time.Now().Add(300 * time.Millisecond); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if got, err := coilHeld(p.kiosk.Lamps() + ".coil"); err != nil || got {
			p.Fatalf("%s: the coil has current: %t, %v", when, got, err)
		}
	}
}

// edit replaces something in a file that has it.
func (p *play) edit(path, from, to string) {
	p.Helper()
	b, err := os.ReadFile(path)
	if err != nil || !bytes.Contains(b, []byte(from)) {
		p.Fatalf("%s has no %q: %v", path, from, err)
	}
	if err := os.WriteFile(path, bytes.Replace(b, []byte(from), []byte(to), 1), 0o600); err != nil {
		p.Fatal(err)
	}
}

// age lets a kiosk that is stopped have been on for so long without a word.
func (p *play) age(path string, by time.Duration) {
	p.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		p.Fatal(err)
	}
	var is map[string]any
	if err := json.Unmarshal(b, &is); err != nil {
		p.Fatal(err)
	}
	is["used_ms"] = by.Milliseconds()
	if b, err = json.Marshal(is); err != nil {
		p.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		p.Fatal(err)
	}
}

// fill fills the outbox of a kiosk that is stopped.
func fill(t *testing.T, path string) {
	t.Helper()
	q, err := outbox.Open(t.Context(), path, outbox.Options{Limit: 4 << 20, Now: func() when.Reading { return when.Reading{} }})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := seal.New(1, key.PublicKey().Bytes())
	if err != nil {
		t.Fatal(err)
	}
	large := make([]byte, 7000)
	for err == nil {
		_, err = q.Put(func(_ wire.Epoch, seq uint64) (wire.Record, wire.Context, error) {
			h := wire.Header{Seq: seq, Kind: wire.KindCheckin, Gate: "A1", Direction: wire.Out, Verdict: wire.Refused, Reason: wire.ReasonUnknown}
			box, context, err := sealer.Seal(time.Now(), nil, large)
			return wire.NewRecord(h, box), context, err
		})
	}
	if !errors.Is(err, outbox.ErrFull) {
		t.Fatal(err)
	}
}

// revoked gives the kiosk the server's word that it is revoked, as it asks for it when
// its beats have no answer for long.
func (p *play) revoked() {
	p.Helper()
	identity := filepath.Join(p.kiosk.Dir, "identity")
	cert, err := os.ReadFile(filepath.Join(identity, "kiosk.pem"))
	if err != nil {
		p.Fatal(err)
	}
	r := wire.RenewRequest{V: wire.Version, Kiosk: p.kiosk.ID, Certificate: cert}
	rand.Read(r.Nonce[:])
	resp, err := http.Post("http://"+p.stage.Portal+wire.RenewPath, "application/octet-stream", bytes.NewReader(wire.Seal(wire.ForRenew, 0, p.kioskKey(), r)))
	if err != nil {
		p.Fatal(err)
	}
	defer resp.Body.Close()
	word, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		p.Fatalf("the portal says %s: %v", resp.Status, err)
	}
	if err := os.WriteFile(filepath.Join(p.kiosk.State(), "revoked.cbor"), word, 0o600); err != nil {
		p.Fatal(err)
	}
}

// kioskKey returns the key of the kiosk's identity.
func (p *play) kioskKey() ed25519.PrivateKey {
	p.Helper()
	b, err := os.ReadFile(filepath.Join(p.kiosk.Dir, "identity", "kiosk.key"))
	if err != nil {
		p.Fatal(err)
	}
	block, _ := pem.Decode(b)
	if block == nil {
		p.Fatal("kiosk.key is no PEM")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		p.Fatal(err)
	}
	return key.(ed25519.PrivateKey)
}

// coilHeld reports whether a process holds the virtual coil at path, which is a lock: the
// kernel frees it however the process ends, as a relay without current falls off.
func coilHeld(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	err = unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return true, nil
	}
	return false, err
}
