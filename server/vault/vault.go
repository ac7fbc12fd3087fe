// Package vault holds the keys of people and days, without which the database
// tells nobody who was where.
//
// A person is a random number. A check-in holds it as one AES block under the
// key of the check-in's day, so equal persons are equal within a day, where they
// can be indexed and joined, and unrelated across days. Names, phones and
// numbers are sealed under a key of the person's own, which is wrapped by the
// people key: dropping that wrapped key erases the person. A case of a disease
// has such a key too, under which all is sealed that it keeps of people.
//
//	v, err := vault.Open(vault.Dir(path), master, vault.Options{})
//	subject, err := v.Subject(day, person)   // into the check-in
//	person, err := v.Person(day, subject)    // for a trace
//	err = v.Shred(day)                       // at the end of retention
//
// The promise: once [Vault.Shred] has returned, no process opens a subject of
// that day again, except that another process which holds the key may do so for
// a minute, and no such day ever gets another key; nor does a day whose key was lost,
// without somebody saying so. Keys live outside the database, in a [KeyStore] that is
// never part of a data backup, wrapped by the [Master] key; [Copied] keeps a set of
// copies of them.
//
// The server's own keys, which sign and open what kiosks send, are package
// enrol's: they are kept for years, must be in the key backup, and are known to
// kiosks by a signed list.
package vault

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/pass"
	"golang.org/x/crypto/chacha20poly1305"
)

// Errors that callers treat differently, besides [ErrShredded] and [ErrMaster].
var (
	// ErrDay means that a day is too long ago or too far ahead to get a key.
	ErrDay = errors.New("day is out of range")
	// ErrSubject means that a subject is not of the day that was given.
	ErrSubject = errors.New("subject is not of this day")
	// ErrLost means that check-ins of a day were made with a key that is not there. It
	// is not made anew: put its copy back, or see [Vault.Renew].
	ErrLost = errors.New("the key of a day with check-ins is lost: put the copy of it back, or give up who came that day (qrgate-server retention lost DAY)")
	// ErrDetail means that a detail or a person's key does not open.
	ErrDetail = errors.New("detail does not open")
)

// Days that may get a key, counted from today: retention is at most 30 days,
// and a kiosk's clock may run ahead.
const (
	DaysBack  = 40
	DaysAhead = 2
)

const (
	peopleName = "people.key"
	keySize    = 32

	// cacheFor bounds how long a process uses a day's key that another process
	// has shredded.
	cacheFor = time.Minute
	// maxCached holds every day that may get a key.
	maxCached = 64
)

// Options are the optional parts of a Vault. The zero value is right.
type Options struct {
	Now func() time.Time // which day is today; default time.Now
	// Named reports whether a day has check-ins that hold somebody. It is asked before
	// a day gets its key; nil makes a key for any day that has none.
	Named func(qrgate.Day) (bool, error)
}

// A Vault ties persons to subjects. It is safe for concurrent use.
type Vault struct {
	keys     KeyStore
	master   Master
	now      func() time.Time
	named    func(qrgate.Day) (bool, error)
	identity sync.Pool   // of HMACs under the identity key
	people   cipher.AEAD // wraps persons' keys

	mu    sync.Mutex // serialises loading, creating and shredding
	cache atomic.Pointer[cache]
}

// A cache is never changed once it is shared, so that readers take no lock.
type cache struct {
	since  time.Time
	blocks map[qrgate.Day]cipher.Block
}

// Init creates the people key. It refuses where there is one: another people
// key would part every person from their name.
func Init(keys KeyStore, master Master) error {
	wrapped := master.Wrap(peopleName, newKey())
	stored, err := keys.Create(peopleName, wrapped)
	if err != nil {
		return err
	}
	if string(stored) != string(wrapped) {
		return fmt.Errorf("vault: init: %s: %w", peopleName, fs.ErrExist)
	}
	return nil
}

// Open returns the vault whose keys are in keys, which [Init] has prepared. The
// error is [ErrMaster] if they are wrapped by another master key.
func Open(keys KeyStore, master Master, o Options) (*Vault, error) {
	wrapped, err := keys.Load(peopleName)
	if err != nil {
		return nil, fmt.Errorf("vault: open: %w", err)
	}
	people, err := master.Unwrap(peopleName, wrapped)
	if err != nil {
		return nil, err
	}
	v := &Vault{keys: keys, master: master, now: o.Now, named: o.Named}
	if v.now == nil {
		v.now = time.Now
	}
	identity, err := hkdf.Expand(sha256.New, people, "qrgate identity v1", keySize)
	if err != nil {
		return nil, fmt.Errorf("vault: identity key: %w", err)
	}
	v.identity.New = func() any { return hmac.New(sha256.New, identity) }
	wrap, err := hkdf.Expand(sha256.New, people, "qrgate person wrap v1", keySize)
	if err != nil {
		return nil, fmt.Errorf("vault: person wrapping key: %w", err)
	}
	if v.people, err = chacha20poly1305.NewX(wrap); err != nil {
		return nil, fmt.Errorf("vault: person wrapping key: %w", err)
	}
	v.cache.Store(&cache{})
	return v, nil
}

// NewPerson returns a person whom nobody has been before.
func NewPerson() qrgate.Person {
	var b [8]byte
	for {
		rand.Read(b[:])
		if p := qrgate.Person(binary.BigEndian.Uint64(b[:])); p != 0 {
			return p
		}
	}
}

// Subject returns p as the check-ins of day hold it. The first use of a day
// makes its key, unless the day is shredded ([ErrShredded]), is more than
// [DaysBack] ago or [DaysAhead] ahead ([ErrDay]), or had a key before ([ErrLost]).
func (v *Vault) Subject(day qrgate.Day, p qrgate.Person) (qrgate.Subject, error) {
	block, err := v.block(day, true)
	if err != nil {
		return qrgate.Subject{}, err
	}
	return hide(block, p), nil
}

// Person returns who s is. The error is [ErrShredded] when the day's key is
// destroyed, qrgate.ErrNotFound when the day never had one, and [ErrSubject]
// when s was not made for that day.
func (v *Vault) Person(day qrgate.Day, s qrgate.Subject) (qrgate.Person, error) {
	block, err := v.block(day, false)
	if err != nil {
		return 0, err
	}
	p, ok := reveal(block, s)
	if !ok {
		return 0, fmt.Errorf("vault: day %s: %w", day, ErrSubject)
	}
	return p, nil
}

// hide returns p as one block, whose zero half says later that it is whole.
func hide(key cipher.Block, p qrgate.Person) (b [aes.BlockSize]byte) {
	binary.BigEndian.PutUint64(b[:8], uint64(p))
	key.Encrypt(b[:], b[:])
	return b
}

func reveal(key cipher.Block, b [aes.BlockSize]byte) (p qrgate.Person, ok bool) {
	key.Decrypt(b[:], b[:])
	return qrgate.Person(binary.BigEndian.Uint64(b[:8])), binary.BigEndian.Uint64(b[8:]) == 0
}

// Days returns the days that have a key, in order.
func (v *Vault) Days() ([]qrgate.Day, error) {
	names, err := v.keys.Names()
	if err != nil {
		return nil, err
	}
	var days []qrgate.Day
	for _, name := range names {
		date, ok := strings.CutPrefix(strings.TrimSuffix(name, ".key"), "days/")
		if !ok {
			continue
		}
		day, err := qrgate.ParseDay(date)
		if err != nil {
			return nil, fmt.Errorf("vault: key %s: %w", name, err)
		}
		days = append(days, day)
	}
	slices.Sort(days)
	return days, nil
}

// Shred destroys the key of day, if there is one, and sees to it that the day
// never gets another.
func (v *Vault) Shred(day qrgate.Day) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	err := v.keys.Shred(dayName(day))
	v.cache.Store(&cache{})
	return err
}

func dayName(day qrgate.Day) string { return "days/" + day.String() + ".key" }

func (v *Vault) block(day qrgate.Day, create bool) (cipher.Block, error) {
	now := v.now()
	c := v.cache.Load()
	if now.Sub(c.since) < cacheFor {
		if b, ok := c.blocks[day]; ok {
			return b, nil
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	key, err := v.dayKey(day, qrgate.DayOf(now), create)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("vault: day %s: %w", day, err)
	}
	next := &cache{since: now, blocks: map[qrgate.Day]cipher.Block{}}
	if c = v.cache.Load(); now.Sub(c.since) < cacheFor && len(c.blocks) < maxCached {
		next.since, next.blocks = c.since, maps.Clone(c.blocks)
	}
	next.blocks[day] = block
	v.cache.Store(next)
	return block, nil
}

func (v *Vault) dayKey(day, today qrgate.Day, create bool) ([]byte, error) {
	name := dayName(day)
	wrapped, err := v.keys.Load(name)
	switch {
	case err == nil:
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	case !create:
		return nil, fmt.Errorf("vault: key of day %s: %w", day, qrgate.ErrNotFound)
	case day < today-DaysBack || day > today+DaysAhead:
		return nil, fmt.Errorf("vault: day %s, today %s: %w", day, today, ErrDay)
	default:
		if wrapped, err = v.create(day); err != nil {
			return nil, err
		}
	}
	return v.master.Unwrap(name, wrapped)
}

// create makes the first key of a day. A second one would part the check-ins that were
// made with the first from their people, and nobody would know.
func (v *Vault) create(day qrgate.Day) (wrapped []byte, err error) {
	name, had := dayName(day), false
	if v.named != nil {
		if had, err = v.named(day); err != nil {
			return nil, fmt.Errorf("vault: day %s: %w", day, err)
		}
	}
	if !had {
		return v.keys.Create(name, v.master.Wrap(name, newKey()))
	}
	// Another process may have made it since, and have stored a check-in.
	if wrapped, err = v.keys.Load(name); errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("vault: day %s: %w", day, ErrLost)
	}
	return wrapped, err
}

// Renew gives a day whose key is lost another one: who came with the first is given up,
// [ErrSubject] for each of them. A day that has a key is qrgate.ErrConflict.
func (v *Vault) Renew(day qrgate.Day) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if today := qrgate.DayOf(v.now()); day < today-DaysBack || day > today+DaysAhead {
		return fmt.Errorf("vault: day %s, today %s: %w", day, today, ErrDay)
	}
	name := dayName(day)
	wrapped := v.master.Wrap(name, newKey())
	stored, err := v.keys.Create(name, wrapped)
	if err == nil && string(stored) != string(wrapped) {
		err = fmt.Errorf("vault: day %s has its key: %w", day, qrgate.ErrConflict)
	}
	return err
}

// Identity returns what stands for a pass's number in the database: the same
// number of the same kind is the same identity, and without the people key
// nobody can try numbers. The caller normalises kind and number.
func (v *Vault) Identity(kind pass.Kind, number string) [16]byte {
	// Making one costs as much as using it, and every check-in needs one.
	mac := v.identity.Get().(hash.Hash)
	defer v.identity.Put(mac)
	mac.Reset()
	mac.Write(append([]byte{byte(kind)}, number...))
	return [16]byte(mac.Sum(nil))
}

// NewPersonKey returns a new key for p, wrapped, to be kept with the person's
// row.
func (v *Vault) NewPersonKey(p qrgate.Person) []byte {
	return sealX(v.people, newKey(), personInfo(p))
}

// SealDetail encrypts a detail of p, such as a name, under p's own key. field
// names the column: a detail that is moved to another field or person does not
// open.
func (v *Vault) SealDetail(p qrgate.Person, wrapped []byte, field string, plain []byte) ([]byte, error) {
	aead, err := v.personKey(p, wrapped)
	if err != nil {
		return nil, err
	}
	return sealX(aead, plain, []byte(field)), nil
}

// OpenDetail returns what [Vault.SealDetail] was given, else [ErrDetail].
func (v *Vault) OpenDetail(p qrgate.Person, wrapped []byte, field string, sealed []byte) ([]byte, error) {
	aead, err := v.personKey(p, wrapped)
	if err != nil {
		return nil, err
	}
	plain, err := openX(aead, sealed, []byte(field))
	if err != nil {
		return nil, fmt.Errorf("vault: %s: %w", field, err)
	}
	return plain, nil
}

func (v *Vault) personKey(p qrgate.Person, wrapped []byte) (cipher.AEAD, error) {
	_, aead, err := v.ownKey(personInfo(p), wrapped)
	if err != nil {
		return nil, fmt.Errorf("vault: person's key: %w", err)
	}
	return aead, nil
}

// ownKey returns a key that somebody or something has of its own.
func (v *Vault) ownKey(info, wrapped []byte) ([]byte, cipher.AEAD, error) {
	key, err := openX(v.people, wrapped, info)
	if err != nil {
		return nil, nil, err
	}
	aead, err := chacha20poly1305.NewX(key)
	return key, aead, err
}

func personInfo(p qrgate.Person) []byte {
	return binary.BigEndian.AppendUint64([]byte("person\x00"), uint64(p))
}

func newKey() []byte {
	key := make([]byte, keySize)
	rand.Read(key)
	return key
}

func sealX(aead cipher.AEAD, plain, additional []byte) []byte {
	b := make([]byte, aead.NonceSize(), aead.NonceSize()+len(plain)+aead.Overhead())
	rand.Read(b)
	return aead.Seal(b, b, plain, additional)
}

func openX(aead cipher.AEAD, sealed, additional []byte) ([]byte, error) {
	if len(sealed) < aead.NonceSize() {
		return nil, ErrDetail
	}
	plain, err := aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], additional)
	if err != nil {
		return nil, ErrDetail
	}
	return plain, nil
}
