package guard

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/crypto/argon2"

	"github.com/qrgate/qrgate/device/durable"
)

// Limits of telephones and their PINs.
const (
	MaxPhones = 5 // the one that was used least is forgotten for another

	MinPIN = 6
	MaxPIN = 12

	freeTries = 5  // wrong PINs before the page closes
	lastTry   = 20 // wrong PINs after which the telephone is forgotten
	firstLock = time.Minute
	longest   = time.Hour
)

// argon2id as OWASP has it for little memory: a small board has not much.
const (
	hashTime    = 5
	hashMemory  = 7 << 10 // KiB
	hashThreads = 1
	hashSize    = 32
)

// Errors of a PIN.
var (
	errUnknown = errors.New("guard: telephone is not paired")
	errPIN     = errors.New("guard: wrong PIN")
	errLocked  = errors.New("guard: too many wrong PINs")
)

// A phone is one that was paired. Its secret is in its cookie.
type phone struct {
	Secret []byte `json:"secret"` // the hash of it
	Salt   []byte `json:"salt"`
	PIN    []byte `json:"pin"` // argon2id
	Wrong  int    `json:"wrong"`
	Used   int64  `json:"used"` // rises with each use of any

	until time.Time // locked until; of this process's clock that never jumps
}

// phones is the paired telephones, on disk. It is safe for concurrent use.
type phones struct {
	path string

	mu  sync.Mutex
	all []*phone
}

// openPhones reads the telephones at path; of a damaged file none is left. A lock that stood
// when the kiosk was switched off begins again: no clock tells how long that was.
func openPhones(path string, now time.Time, log *slog.Logger) (*phones, error) {
	p := &phones{path: path}
	damaged, err := durable.Read(path, func(b []byte) (err error) {
		p.all, err = readPhones(b)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("guard: telephones: %w", err)
	}
	if damaged != nil {
		log.Warn("telephones have to be paired again", "err", damaged)
	}
	for _, one := range p.all {
		one.until = now.Add(lockFor(one.Wrong))
	}
	return p, nil
}

// readPhones reads the file's content, which a bad disk may have changed.
func readPhones(b []byte) ([]*phone, error) {
	var all []*phone
	if err := json.Unmarshal(b, &all); err != nil {
		return nil, err
	}
	for _, one := range all {
		if one == nil || len(one.Secret) != sha256.Size || len(one.PIN) != hashSize || len(one.Salt) != 16 || one.Wrong < 0 {
			return nil, errors.New("a telephone without all of its keys")
		}
	}
	return all[:min(len(all), MaxPhones)], nil
}

// lockFor returns how long the page is closed after so many wrong PINs in turn.
func lockFor(wrong int) time.Duration {
	if wrong < freeTries {
		return 0
	}
	return min(firstLock<<min(wrong-freeTries, 10), longest)
}

// save writes the file. p.mu is held.
func (p *phones) save() error {
	b, err := json.Marshal(p.all)
	if err == nil {
		err = durable.Replace(p.path, b)
	}
	if err != nil {
		return fmt.Errorf("guard: telephones: %w", err)
	}
	return nil
}

func hashPIN(pin string, salt []byte) []byte {
	return argon2.IDKey([]byte(pin), salt, hashTime, hashMemory, hashThreads, hashSize)
}

// goodPIN reports whether pin is one that a stranger does not try first.
func goodPIN(pin string) bool {
	if len(pin) < MinPIN || len(pin) > MaxPIN {
		return false
	}
	same, up, down := true, true, true
	for i := range len(pin) {
		if pin[i] < '0' || pin[i] > '9' {
			return false
		}
		if i > 0 {
			same, up, down = same && pin[i] == pin[i-1], up && pin[i] == pin[i-1]+1, down && pin[i] == pin[i-1]-1
		}
	}
	return !same && !up && !down
}

// add pairs a telephone and returns its secret.
func (p *phones) add(pin string) (secret string, err error) {
	secret = rand.Text()
	sum := sha256.Sum256([]byte(secret))
	one := &phone{Secret: sum[:], Salt: make([]byte, 16)}
	rand.Read(one.Salt)
	one.PIN = hashPIN(pin, one.Salt)
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.all) >= MaxPhones {
		least := slices.MinFunc(p.all, func(a, b *phone) int { return int(a.Used - b.Used) })
		p.all = slices.DeleteFunc(p.all, func(o *phone) bool { return o == least })
	}
	one.Used = p.next()
	p.all = append(p.all, one)
	return secret, p.save()
}

// next returns a number above that of every use. p.mu is held.
func (p *phones) next() int64 {
	used := int64(0)
	for _, one := range p.all {
		used = max(used, one.Used)
	}
	return used + 1
}

// find returns the telephone with a secret, or nil. p.mu is held.
func (p *phones) find(secret string) *phone {
	sum := sha256.Sum256([]byte(secret))
	for _, one := range p.all {
		if subtle.ConstantTimeCompare(one.Secret, sum[:]) == 1 {
			return one
		}
	}
	return nil
}

// known reports whether a secret is that of a paired telephone.
func (p *phones) known(secret string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return secret != "" && p.find(secret) != nil
}

// check compares a PIN. A try counts on the disk before it is made, so that nobody gets
// more by pulling the plug. The wait is how long the page is closed now; closed says that
// this try has closed it.
func (p *phones) check(secret, pin string, now time.Time) (wait time.Duration, closed bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	one := p.find(secret)
	if one == nil {
		return 0, false, errUnknown
	}
	if wait = one.until.Sub(now); wait > 0 {
		return wait, false, errLocked
	}
	one.Wrong++
	if err := p.save(); err != nil {
		return 0, false, err
	}
	if len(pin) > MaxPIN || subtle.ConstantTimeCompare(hashPIN(pin, one.Salt), one.PIN) != 1 {
		if one.Wrong >= lastTry {
			p.all = slices.DeleteFunc(p.all, func(o *phone) bool { return o == one })
			return 0, true, errors.Join(errUnknown, p.save())
		}
		wait = lockFor(one.Wrong)
		one.until = now.Add(wait)
		return wait, wait > 0, errPIN
	}
	one.Wrong, one.Used = 0, p.next()
	return 0, false, p.save()
}

// forget takes a telephone away, or all of them if secret is "".
func (p *phones) forget(secret string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	one := p.find(secret)
	p.all = slices.DeleteFunc(p.all, func(o *phone) bool { return secret == "" || o == one })
	return p.save()
}

func (p *phones) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.all)
}
