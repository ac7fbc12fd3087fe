package register_test

import (
	"errors"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/register"
)

func TestTokens(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		by := w.account("admin")
		made := &register.Token{System: "Hue-S", Scopes: []register.TokenScope{register.CheckinWrite}, Until: w.time().Add(24 * time.Hour)}
		hash := [32]byte{1}
		if err := w.AddToken(ctx, by, made, hash); err != nil {
			t.Fatal(err)
		}
		got, err := w.Token(ctx, hash)
		if err != nil || got.ID != made.ID || got.System != "Hue-S" || !got.May(register.CheckinWrite) || got.May(register.PlaceRead) || !got.Used.Equal(w.time()) {
			t.Fatalf("Token() = %+v, %v", got, err)
		}
		// The last use is kept to the minute.
		w.pass(30 * time.Second)
		if got, err := w.Token(ctx, hash); err != nil || !got.Used.Before(w.time()) {
			t.Errorf("after 30 s Token() = %+v, %v", got, err)
		}
		w.pass(time.Minute)
		if got, err := w.Token(ctx, hash); err != nil || !got.Used.Equal(w.time()) {
			t.Errorf("after 90 s Token() = %+v, %v", got, err)
		}
		if _, err := w.Token(ctx, [32]byte{2}); !errors.Is(err, qrgate.ErrNotFound) {
			t.Errorf("Token() of another hash: %v", err)
		}

		for _, bad := range []register.Token{
			{System: "", Scopes: made.Scopes, Until: made.Until},
			{System: "x", Until: made.Until},
			{System: "x", Scopes: []register.TokenScope{"all"}, Until: made.Until},
			{System: "x", Scopes: made.Scopes, Until: w.time()},
		} {
			if err := w.AddToken(ctx, by, &bad, [32]byte{3}); !errors.Is(err, qrgate.ErrInvalid) {
				t.Errorf("AddToken(%+v) = %v, want invalid", bad, err)
			}
		}
		ends := &register.Token{System: "Old", Scopes: register.TokenScopes(), Until: w.time().Add(time.Hour)}
		if err := w.AddToken(ctx, by, ends, [32]byte{4}); err != nil {
			t.Fatal(err)
		}
		w.pass(time.Hour)
		if _, err := w.Token(ctx, [32]byte{4}); !errors.Is(err, qrgate.ErrNotFound) {
			t.Errorf("Token() at its end: %v", err)
		}

		for range 2 { // the second time changes nothing
			if err := w.RevokeToken(ctx, by, made.ID); err != nil {
				t.Errorf("RevokeToken() = %v", err)
			}
		}
		if _, err := w.Token(ctx, hash); !errors.Is(err, qrgate.ErrNotFound) {
			t.Errorf("Token() of one that was taken back: %v", err)
		}
		if err := w.RevokeToken(ctx, by, "nothing"); !errors.Is(err, qrgate.ErrNotFound) {
			t.Errorf("RevokeToken(nothing) = %v", err)
		}
		all, err := w.Tokens(ctx)
		if err != nil || len(all) != 2 || all[0].ID != ends.ID || all[1].Revoked.IsZero() {
			t.Errorf("Tokens() = %+v, %v", all, err)
		}
	})
}
