// Package visittest is a server's insides for tests of what takes check-ins by
// phone: a database, its register, and a desk that commits. Only tests import it.
package visittest

import (
	"context"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/rand"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/area"
	"github.com/qrgate/qrgate/server/ingest"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/server/vault"
	"github.com/qrgate/qrgate/sync/seal"
	"github.com/qrgate/qrgate/sync/wire"
)

// A World is what pages and API stand on.
type World struct {
	Store    *store.Store
	Register *register.Register
	Ingest   *ingest.Ingest
	Vault    *vault.Vault
	t        testing.TB
}

// New starts a world that ends with the test.
func New(t testing.TB) *World {
	t.Helper()
	s, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "qrgate.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("store.Close() = %v", err)
		}
	})
	dir, master := vault.Dir(t.TempDir()), vault.NewMaster()
	if err := vault.Init(dir, master); err != nil {
		t.Fatal(err)
	}
	v, err := vault.Open(dir, master, vault.Options{})
	if err != nil {
		t.Fatal(err)
	}
	private, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	opener, err := seal.NewOpener(map[uint32][]byte{1: private.Bytes()})
	if err != nil {
		t.Fatal(err)
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	in, err := ingest.New(ingest.Parts{
		Store: s, Vault: v, Opener: opener, Sign: wire.Signer{ID: 1, Key: key}, Link: noLink{}, Feed: ingest.NewFeed(nil),
	}, ingest.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- in.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run() = %v, want nil", err)
		}
	})
	return &World{Store: s, Register: register.New(s, time.Now), Ingest: in, Vault: v, t: t}
}

// noLink is a line to no kiosk.
type noLink struct{}

func (noLink) Publish(context.Context, string, []byte, bool) error { return nil }

func (noLink) Subscribe(context.Context, string, func(string, []byte)) error { return nil }

// Place adds a place in Phú Xuân.
func (w *World) Place(name string) *qrgate.Place {
	w.t.Helper()
	const organisation = "org"
	err := w.Store.Write(w.t.Context(), func(x store.Tx) error {
		_, err := x.Exec(`INSERT INTO organisations (id, name, folded, sector, phone, email, created) VALUES (?, 'Ban quản lý chợ', 'ban quan ly cho', 'trade', '', '', 1)
			ON CONFLICT (id) DO NOTHING`, organisation)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	commune := ""
	if found := area.Search("phu xuan", 1); len(found) > 0 {
		commune = found[0].Current[0].ID.String()
	}
	p := &qrgate.Place{Organisation: organisation, Name: name, Sector: "trade", Kind: "market", Area: commune, AreaNow: commune, Street: "2 Trần Hưng Đạo", Doors: 1}
	if err := w.Register.AddPlace(w.t.Context(), "", p); err != nil {
		w.t.Fatal(err)
	}
	return p
}

// Delete deletes a place at the given time.
func (w *World) Delete(p *qrgate.Place, at time.Time) {
	w.t.Helper()
	err := w.Store.Write(w.t.Context(), func(x store.Tx) error {
		_, err := x.Exec("UPDATE places SET deleted = ? WHERE no = ?", at.UnixMilli(), int64(p.No))
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// Rows returns the check-ins by phone.
func (w *World) Rows() []qrgate.Checkin {
	w.t.Helper()
	var all []qrgate.Checkin
	err := w.Store.Checkins(w.t.Context(), "phones@server", func(c qrgate.Checkin) error { all = append(all, c); return nil })
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}
