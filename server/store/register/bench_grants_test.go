package register_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/register"
)

// What a search among 20,000 accounts costs, which reads all their names.
func BenchmarkHolders(b *testing.B) {
	s, err := store.Open(b.Context(), sqlite.dsn(b), store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	err = s.Write(b.Context(), func(t store.Tx) error {
		for i := range 20_000 {
			id := fmt.Sprintf("account-%05d", i)
			_, err := t.Exec("INSERT INTO accounts (id, name, display, email, confirmed, phone, state, totp_step, created) VALUES (?, ?, ?, '', 0, '', 1, 0, 0)",
				id, id, fmt.Sprintf("Nguyễn Thị Hồng Ánh %d", i))
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	r := register.New(s, time.Now)
	for b.Loop() {
		if _, n, err := r.Holders(b.Context(), register.HolderQuery{Text: "hong anh 12345", Size: 25}); n != 1 || err != nil {
			b.Fatal(n, err)
		}
	}
}
