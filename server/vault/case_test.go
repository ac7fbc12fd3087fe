package vault_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/qrgate/qrgate/server/vault"
)

func caseKey(t *testing.T, v *vault.Vault, id string) *vault.CaseKey {
	t.Helper()
	k, err := v.CaseKey(id, v.NewCaseKey(id))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestCaseKey(t *testing.T) {
	v, _, _ := newVault(t)
	k, other := caseKey(t, v, "a"), caseKey(t, v, "b")
	sealed := k.Seal("index", []byte("An"))
	if plain, err := k.Open("index", sealed); err != nil || string(plain) != "An" {
		t.Errorf("Open = %q, %v", plain, err)
	}
	if bytes.Equal(sealed, k.Seal("index", []byte("An"))) {
		t.Error("Seal twice gives the same bytes")
	}
	for name, open := range map[string]func() error{
		"another field": func() error { _, err := k.Open("call", sealed); return err },
		"another case":  func() error { _, err := other.Open("index", sealed); return err },
		"cut":           func() error { _, err := k.Open("index", sealed[:9]); return err },
		"another's key": func() error { _, err := v.CaseKey("b", v.NewCaseKey("a")); return err },
		"no key":        func() error { _, err := v.CaseKey("a", nil); return err },
		"person's key":  func() error { _, err := v.CaseKey("a", v.NewPersonKey(7)); return err },
	} {
		if err := open(); !errors.Is(err, vault.ErrDetail) {
			t.Errorf("%s: %v, want %v", name, err, vault.ErrDetail)
		}
	}
}

// A reference is one person's in one case, and cannot be guessed.
func TestCaseReference(t *testing.T) {
	v, _, _ := newVault(t)
	k, other := caseKey(t, v, "a"), caseKey(t, v, "b")
	p := vault.NewPerson()
	r := k.Reference(p)
	if r != k.Reference(p) || r == other.Reference(p) || r == k.Reference(p+1) {
		t.Error("references are not one person's in one case")
	}
	if got, err := k.Person(r); err != nil || got != p {
		t.Errorf("Person = %d, %v, want %d", got, err, p)
	}
	if _, err := other.Person(r); !errors.Is(err, vault.ErrReference) {
		t.Errorf("another case's reference: %v", err)
	}
	r[3] ^= 1
	if _, err := k.Person(r); !errors.Is(err, vault.ErrReference) {
		t.Errorf("a guessed reference: %v", err)
	}
}
