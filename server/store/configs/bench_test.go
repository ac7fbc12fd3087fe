package configs_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/fleet/configs"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	kept "github.com/qrgate/qrgate/server/store/configs"
)

// BenchmarkRefresh makes the documents of 2,000 kiosks: where nothing has changed, and
// where something was said of all.
func BenchmarkRefresh(b *testing.B) {
	const n = 2000
	s, err := store.Open(b.Context(), sqlite.dsn(b), store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	c := kept.New(s, time.Now)
	save := func(id configs.LayerID, base int, said configs.Settings) {
		if _, err := c.Save(context.Background(), kept.Change{Layer: id, Base: base, Settings: said}); err != nil {
			b.Fatal(err)
		}
	}
	for i := range n {
		id := fmt.Sprintf("gate-%04d", i)
		if err := s.AddKiosk(b.Context(), qrgate.Kiosk{ID: id, Place: "Chợ", PlaceNo: uint32(i / 4), Public: bytes.Repeat([]byte{1}, 32), State: qrgate.KioskActive, Added: time.Now()}); err != nil {
			b.Fatal(err)
		}
		save(configs.Kiosk(id), 0, configs.Settings{"door.gate": "A1", "door.direction": "in"})
	}
	refresh := func(b *testing.B) {
		if docs, err := c.Refresh(b.Context()); err != nil || len(docs) != n {
			b.Fatalf("%d documents, %v", len(docs), err)
		}
	}
	refresh(b)
	b.Run("mark", func(b *testing.B) {
		for b.Loop() {
			if _, err := c.Mark(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("same", func(b *testing.B) {
		for b.Loop() {
			refresh(b)
		}
	})
	version := 0
	b.Run("all", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			save(configs.Everywhere, version, configs.Settings{"door.help_line": fmt.Sprint(version)})
			version++
			b.StartTimer()
			refresh(b)
		}
	})
}

// BenchmarkJoin puts as many kiosks into a group as one transaction does, which is how
// long others who write wait.
func BenchmarkJoin(b *testing.B) {
	s, err := store.Open(b.Context(), sqlite.dsn(b), store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	c := kept.New(s, time.Now)
	var ids []string
	var all []qrgate.Kiosk
	for i := range 500 {
		ids = append(ids, fmt.Sprintf("gate-%04d", i))
		all = append(all, qrgate.Kiosk{ID: ids[i], Place: "Chợ", PlaceNo: uint32(i / 4), Public: bytes.Repeat([]byte{1}, 32), State: qrgate.KioskActive, Added: time.Now()})
	}
	if err := s.AddKiosks(b.Context(), all); err != nil {
		b.Fatal(err)
	}
	group, err := c.AddGroup(b.Context(), "A", "")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := c.Join(b.Context(), group, ids, ""); err != nil {
			b.Fatal(err)
		}
	}
}
