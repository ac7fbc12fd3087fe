package enrol_test

import (
	"crypto/ed25519"
	"path/filepath"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/enrol"
	"github.com/qrgate/qrgate/server/vault"
)

// A server that was set up before there were such keys gets one, which stays.
func TestWitness(t *testing.T) {
	dir, master := filepath.Join(t.TempDir(), "keys"), vault.NewMaster()
	if err := enrol.Init(dir, master, filepath.Join(t.TempDir(), "root.key"), time.Now()); err != nil {
		t.Fatal(err)
	}
	var first ed25519.PrivateKey
	for range 2 {
		keys, err := enrol.Load(dir, master)
		if err != nil {
			t.Fatal(err)
		}
		id, key, err := keys.Witness()
		if err != nil || id != 1 || first != nil && !first.Equal(key) {
			t.Fatalf("Witness = %d, %v, and before %v; %v", id, key.Public(), first, err)
		}
		first = key
		public, err := keys.Witnesses()
		if err != nil || len(public) != 1 || !public[1].Equal(key.Public()) {
			t.Errorf("Witnesses = %v, %v", public, err)
		}
	}
}
