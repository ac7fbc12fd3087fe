package signin

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

var (
	// ErrWrongPassword means that the password is not the account's, or that
	// there is no such account: nobody shall learn which.
	ErrWrongPassword = errors.New("signin: wrong password")
	// ErrBadHash means that a stored hash is damaged or asks for more work than
	// this server is willing to do.
	ErrBadHash = errors.New("signin: unusable password hash")
)

// Params say how much work one password hash is.
type Params struct {
	Time      uint32 // passes over the memory
	MemoryKiB uint32
	Threads   uint8
}

// DefaultParams are OWASP's for argon2id on a server that also does other work.
var DefaultParams = Params{Time: 2, MemoryKiB: 19 * 1024, Threads: 1}

const (
	saltSize = 16
	hashSize = 32

	// What a stored hash may ask for. Hashes come from our own database, but a
	// row that somebody planted there shall not take the server down.
	maxTime    = 16
	maxMemory  = 256 * 1024
	maxThreads = 16
)

// HashOptions are the optional parts of a Hasher. The zero value is right.
type HashOptions struct {
	Params     Params // default DefaultParams
	Concurrent int    // hashes at a time, each of which takes Params.MemoryKiB; default 4
}

// A Hasher turns passwords into argon2id hashes and compares them. It is safe
// for concurrent use.
type Hasher struct {
	params Params
	slots  chan struct{}
	dummy  phc // what an unknown user's password is compared with
}

// NewHasher returns a Hasher. It panics if o.Params are none that a stored hash
// may have, because what it hashed could never be verified.
func NewHasher(o HashOptions) *Hasher {
	if o.Params == (Params{}) {
		o.Params = DefaultParams
	}
	if o.Concurrent <= 0 {
		o.Concurrent = 4
	}
	if !o.Params.valid() {
		panic(fmt.Sprintf("signin: password parameters %+v are out of range", o.Params))
	}
	h := &Hasher{params: o.Params, slots: make(chan struct{}, o.Concurrent)}
	h.dummy = phc{Params: o.Params, salt: random(saltSize), sum: random(hashSize)}
	return h
}

// Hash returns the hash of password as a PHC string. It waits until fewer than
// the allowed number of hashes are being made, or until ctx ends. Rules are not
// its matter; see [CheckPassword].
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	if len(password) > maxPasswordBytes {
		return "", ErrTooLong
	}
	p := phc{Params: h.params, salt: random(saltSize)}
	sum, err := h.sum(ctx, p, hashSize, password)
	if err != nil {
		return "", err
	}
	p.sum = sum
	return p.String(), nil
}

// Verify compares password with a hash that Hash returned, and returns nil if
// they match. For an account that does not exist, or has no password, stored is
// empty: the work is then the same and the answer [ErrWrongPassword]. Rehash
// says that the password is right but was hashed with other parameters than
// today's, so the caller, who has it in hand, should store a new hash.
func (h *Hasher) Verify(ctx context.Context, stored, password string) (rehash bool, err error) {
	p := h.dummy
	if stored != "" {
		if p, err = parsePHC(stored); err != nil {
			return false, err
		}
	}
	if len(password) > maxPasswordBytes {
		// Nobody has such a password, and it should cost no more than others.
		password, p = "", h.dummy
	}
	sum, err := h.sum(ctx, p, len(p.sum), password)
	if err != nil {
		return false, err
	}
	if subtle.ConstantTimeCompare(sum, p.sum) != 1 {
		return false, ErrWrongPassword
	}
	return p.Params != h.params || len(p.salt) != saltSize || len(p.sum) != hashSize, nil
}

func (h *Hasher) sum(ctx context.Context, p phc, size int, password string) ([]byte, error) {
	if ctx.Err() != nil { // of two ready cases select takes either
		return nil, fmt.Errorf("signin: wait to hash: %w", ctx.Err())
	}
	select {
	case h.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("signin: wait to hash: %w", ctx.Err())
	}
	defer func() { <-h.slots }()
	return argon2.IDKey([]byte(prepare(password)), p.salt, p.Time, p.MemoryKiB, p.Threads, uint32(size)), nil
}

func (p Params) valid() bool {
	return p.Time >= 1 && p.Time <= maxTime && p.Threads >= 1 && p.Threads <= maxThreads &&
		p.MemoryKiB >= 8*uint32(p.Threads) && p.MemoryKiB <= maxMemory
}

// A phc is a hash with what it was made of, as the PHC string format has it.
type phc struct {
	Params
	salt, sum []byte
}

const phcPrefix = "$argon2id$v=19$"

func (p phc) String() string {
	return fmt.Sprintf("%sm=%d,t=%d,p=%d$%s$%s", phcPrefix, p.MemoryKiB, p.Time, p.Threads,
		base64.RawStdEncoding.EncodeToString(p.salt), base64.RawStdEncoding.EncodeToString(p.sum))
}

// parsePHC accepts exactly what String writes, within the bounds of this server.
func parsePHC(s string) (phc, error) {
	var p phc
	rest, ok := strings.CutPrefix(s, phcPrefix)
	parts := strings.Split(rest, "$")
	if !ok || len(parts) != 3 {
		return phc{}, fmt.Errorf("%w: not %s", ErrBadHash, phcPrefix)
	}
	fields := strings.Split(parts[0], ",")
	if len(fields) != 3 {
		return phc{}, fmt.Errorf("%w: %d parameters", ErrBadHash, len(fields))
	}
	var n [3]uint64
	for i, name := range []string{"m=", "t=", "p="} {
		digits, ok := strings.CutPrefix(fields[i], name)
		v, err := strconv.ParseUint(digits, 10, 31)
		if !ok || err != nil {
			return phc{}, fmt.Errorf("%w: parameter %s", ErrBadHash, name)
		}
		n[i] = v
	}
	if n[1] > maxTime || n[2] > maxThreads {
		return phc{}, fmt.Errorf("%w: too much work", ErrBadHash)
	}
	p.Params = Params{MemoryKiB: uint32(n[0]), Time: uint32(n[1]), Threads: uint8(n[2])}
	if !p.valid() {
		return phc{}, fmt.Errorf("%w: parameters out of range", ErrBadHash)
	}
	var err1, err2 error
	p.salt, err1 = base64.RawStdEncoding.Strict().DecodeString(parts[1])
	p.sum, err2 = base64.RawStdEncoding.Strict().DecodeString(parts[2])
	if err1 != nil || err2 != nil || len(p.salt) < 8 || len(p.salt) > 64 || len(p.sum) < 16 || len(p.sum) > 64 {
		return phc{}, fmt.Errorf("%w: salt or sum", ErrBadHash)
	}
	// Leading zeros and line ends inside base64 are the ways left to write the
	// same hash twice.
	if p.String() != s {
		return phc{}, fmt.Errorf("%w: not in its one form", ErrBadHash)
	}
	return p, nil
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never returns an error
	return b
}
