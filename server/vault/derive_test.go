package vault_test

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/qrgate/qrgate/server/vault"
)

// A derived key is the same on every server and after every start.
func TestDerive(t *testing.T) {
	m := vault.NewMaster()
	path := filepath.Join(t.TempDir(), "master.key")
	if err := m.Write(path); err != nil {
		t.Fatal(err)
	}
	again, err := vault.ReadMaster(path)
	if err != nil {
		t.Fatal(err)
	}
	a := m.Derive("a")
	if len(a) != 32 || !bytes.Equal(a, again.Derive("a")) {
		t.Errorf("Derive = %x, and %x of the same master key", a, again.Derive("a"))
	}
	if bytes.Equal(a, m.Derive("b")) || bytes.Equal(a, vault.NewMaster().Derive("a")) {
		t.Error("Derive gives one key for two purposes or two masters")
	}
}
