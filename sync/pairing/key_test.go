package pairing_test

import (
	"crypto/ecdh"
	"testing"
)

func publicX25519(t testing.TB, private []byte) []byte {
	t.Helper()
	key, err := ecdh.X25519().NewPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return key.PublicKey().Bytes()
}
