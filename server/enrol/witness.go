package enrol

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

// witnessPrefix is what the files of the keys begin with that sign what a server
// must be able to prove later. No kiosk knows them, so that they are in no list.
const witnessPrefix = "witness-"

// Witness returns the newest key that signs certificates and seals audit rows,
// and its number. The first call makes it.
func (k *Keys) Witness() (id uint32, key ed25519.PrivateKey, err error) {
	ids, err := k.witnesses()
	if err != nil {
		return 0, nil, err
	}
	id = 1
	for _, n := range ids {
		id = max(id, n)
	}
	name := witnessName(id)
	seed, err := k.seed(name)
	if errors.Is(err, fs.ErrNotExist) {
		fresh := make([]byte, ed25519.SeedSize)
		rand.Read(fresh)
		var stored []byte
		if stored, err = k.dir.Create(name, k.master.Wrap(name, fresh)); err == nil {
			seed, err = k.master.Unwrap(name, stored) // another process may have been first
		}
	}
	if err != nil {
		return 0, nil, err
	}
	if len(seed) != ed25519.SeedSize {
		return 0, nil, fmt.Errorf("enrol: %s is no key", name)
	}
	return id, ed25519.NewKeyFromSeed(seed), nil
}

// Witnesses returns the public keys of all that Witness ever returned.
func (k *Keys) Witnesses() (map[uint32]ed25519.PublicKey, error) {
	ids, err := k.witnesses()
	if err != nil {
		return nil, err
	}
	all := map[uint32]ed25519.PublicKey{}
	for _, id := range ids {
		seed, err := k.seed(witnessName(id))
		if err != nil {
			return nil, err
		}
		if len(seed) != ed25519.SeedSize {
			return nil, fmt.Errorf("enrol: %s is no key", witnessName(id))
		}
		all[id] = ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
	}
	return all, nil
}

func witnessName(id uint32) string { return fmt.Sprintf("%s%d.key", witnessPrefix, id) }

func (k *Keys) witnesses() (ids []uint32, err error) {
	names, err := k.dir.Names()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		digits, ok := strings.CutPrefix(strings.TrimSuffix(name, ".key"), witnessPrefix)
		if !ok {
			continue
		}
		id, err := strconv.ParseUint(digits, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("enrol: key %s: %w", name, err)
		}
		ids = append(ids, uint32(id))
	}
	return ids, nil
}
