// Package release is what the server and a kiosk must agree on about releases of the
// kiosk's program: how versions are written and ordered, under which name a build of
// one stands in the repository, what is signed about it, and where things lie in a
// repository, which is the same over the network and on a USB stick.
//
//	name := release.Name("1.4.0", "arm64")     // qrgate-kiosk-1.4.0-arm64
//	about, err := release.ParseAbout(custom)   // what is signed beside its length and hash
//
// The promise: a text that [Valid] accepts is safe as the name of a folder, and two
// versions are always in the same order. Signatures, expiry and roll-back are TUF's
// (package metadata of go-tuf), not this package's.
package release

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Product is the program whose releases these are.
const Product = "qrgate-kiosk"

// The parts of a repository. Metadata lies in it by their TUF names
// (1.root.json, timestamp.json), builds in TargetsDir as HASH.NAME.
const (
	TargetsDir = "targets"
	StickDir   = "qrgate-update" // of a USB stick
	Path       = "/cap-nhat/"    // of a server's portal
)

// Limits of what a kiosk downloads.
const (
	MaxMetadata = 512 << 10
	MaxProgram  = 128 << 20
	MaxSystem   = 1 << 30
)

// Arches are the machines that programs are built for, as Go names them.
func Arches() []string { return []string{"arm64", "arm", "amd64"} }

// Systems are the whole systems that stand beside programs under a version, as machines
// of their own: what is written to the card of a box with lamps or with a screen.
func Systems() []string {
	return []string{"system-arm64-lamps", "system-arm64-screen", "system-arm-lamps"}
}

// MaxBytes returns the most that a build for an arch may have.
func MaxBytes(arch string) int64 {
	if slices.Contains(Systems(), arch) {
		return MaxSystem
	}
	return MaxProgram
}

// ErrInvalid is returned for what is no version and for what says nothing sensible
// of a build.
var ErrInvalid = errors.New("invalid")

// Parse reads a version: three numbers with dots between them.
func Parse(version string) (v [3]int, err error) {
	parts := strings.Split(version, ".")
	if len(parts) != 3 {
		return v, fmt.Errorf("release: version %q: %w: want three numbers, as 1.4.0", version, ErrInvalid)
	}
	for i, p := range parts {
		n, err := strconv.Atoi(p)
		if err != nil || n < 0 || n > 99_999 || strconv.Itoa(n) != p {
			return v, fmt.Errorf("release: version %q: %w: want three numbers, as 1.4.0", version, ErrInvalid)
		}
		v[i] = n
	}
	return v, nil
}

// Valid reports whether version is one.
func Valid(version string) bool {
	_, err := Parse(version)
	return err == nil
}

// Compare orders two versions. What is none, as of a program that somebody built for
// themselves, is older than every version.
func Compare(a, b string) int {
	va, errA := Parse(a)
	vb, errB := Parse(b)
	if errA != nil || errB != nil {
		return cmp.Compare(boolInt(errA == nil), boolInt(errB == nil))
	}
	for i := range va {
		if c := cmp.Compare(va[i], vb[i]); c != 0 {
			return c
		}
	}
	return 0
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Name returns the name under which a build stands in the repository's metadata.
func Name(version, arch string) string { return Product + "-" + version + "-" + arch }

// An About is what is signed of a build beside its length and hash, so that a build
// under another's name is known for what it is.
type About struct {
	Product string `json:"product"`
	Version string `json:"version"`
	Arch    string `json:"arch"`
	Note    string `json:"note,omitempty"` // for people, one line
}

// maxAbout bounds what is read of one build.
const maxAbout = 4096

// Encode returns a as it is signed.
func (a About) Encode() json.RawMessage {
	b, err := json.Marshal(a)
	if err != nil {
		panic(err) // only for what is no struct of strings
	}
	return b
}

// ParseAbout reads what is signed of a build. It must be complete and valid.
func ParseAbout(b []byte) (About, error) {
	var a About
	if len(b) == 0 || len(b) > maxAbout {
		return a, fmt.Errorf("release: %d bytes about a build: %w", len(b), ErrInvalid)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	if err := d.Decode(&a); err != nil {
		return About{}, fmt.Errorf("release: about a build: %w: %w", ErrInvalid, err)
	}
	if _, err := Parse(a.Version); err != nil {
		return About{}, err
	}
	if a.Product == "" || a.Arch == "" {
		return About{}, fmt.Errorf("release: build %q for %q: %w", a.Product, a.Arch, ErrInvalid)
	}
	return a, nil
}

// Is returns nil if a is the build of a version for an arch.
func (a About) Is(version, arch string) error {
	if want := (About{Product, version, arch, a.Note}); a != want {
		return fmt.Errorf("release: this is %s %s for %s, not %s %s for %s: %w", a.Product, a.Version, a.Arch, want.Product, want.Version, want.Arch, ErrInvalid)
	}
	return nil
}

// A Reason is why a kiosk did not keep or did not take a version. Texts of later
// versions are passed on as they are.
type Reason string

// The reasons.
const (
	Crashed   Reason = "crashed"   // ended again and again
	NoHealth  Reason = "no-health" // started and was not ready in time, or fell silent
	Damaged   Reason = "damaged"   // its file was not what was downloaded
	Unsigned  Reason = "unsigned"  // its metadata or file is not what was signed
	Expired   Reason = "expired"   // the metadata's time is over
	Older     Reason = "older"     // not newer than what runs
	Unlisted  Reason = "unlisted"  // no such release for this machine
	NoRoom    Reason = "no-room"   // on the disk
	Unfit     Reason = "unfit"     // refuses this kiosk's configuration, or does not start at all
	Unreached Reason = "unreached" // the files are not to be had
	NoRoot    Reason = "no-root"   // the kiosk has nobody whose signature it trusts
)
