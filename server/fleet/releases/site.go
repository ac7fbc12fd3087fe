package releases

import (
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/qrgate/qrgate/sync/release"
)

// How long what a server signs lasts. A kiosk that is kept from anything newer
// notices after as long.
const (
	TimestampLasts = 7 * 24 * time.Hour
	SnapshotLasts  = 30 * 24 * time.Hour
)

// ErrKey is returned for a repository whose keepers gave the server's part to another
// key than this server's.
var ErrKey = errors.New("the keepers trust another server's key")

// Publish takes what is new in a signed repository, from, into the one that a server
// serves, to, and returns what is listed then. The first one to come is believed; from
// then on only what its keys have signed counts, and nothing older.
func Publish(from, to string, online ed25519.PublicKey, now time.Time) ([]Release, error) {
	all, err := publish(from, to, online, now)
	if err != nil {
		return nil, fmt.Errorf("releases: publish: %w", err)
	}
	return all, nil
}

func publish(from, to string, online ed25519.PublicKey, now time.Time) ([]Release, error) {
	if _, err := os.Stat(filepath.Join(to, "1.root.json")); errors.Is(err, fs.ErrNotExist) {
		if err := copyFile(filepath.Join(to, "1.root.json"), filepath.Join(from, "1.root.json")); err != nil {
			return nil, err
		}
	}
	held, err := openRoot(to)
	if err != nil {
		return nil, err
	}
	// The roots that are new go on from the one that is held.
	for v := held.Signed.Version + 1; ; v++ {
		name := fmt.Sprintf("%d.root.json", v)
		next, err := metadata.Root().FromFile(filepath.Join(from, name))
		if missing(err) {
			break
		}
		if err == nil && next.Signed.Version != v {
			err = fmt.Errorf("is version %d", next.Signed.Version)
		}
		if err == nil {
			err = errors.Join(held.VerifyDelegate(metadata.ROOT, next), next.VerifyDelegate(metadata.ROOT, next))
		}
		if err == nil {
			err = copyFile(filepath.Join(to, name), filepath.Join(from, name))
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		held = next
	}
	if err := trusts(held, online); err != nil {
		return nil, err
	}
	if held.Signed.IsExpired(now) {
		return nil, fmt.Errorf("the root ended on %s; see release renew -root", held.Signed.Expires.Format(time.DateOnly))
	}
	edition, err := newestTargets(from)
	if err != nil {
		return nil, err
	}
	if before, err := newestTargets(to); err == nil && before > edition {
		return nil, fmt.Errorf("edition %d of the list of releases is older than %d, which is served", edition, before)
	}
	name := fmt.Sprintf("%d.targets.json", edition)
	list, err := metadata.Targets().FromFile(filepath.Join(from, name))
	if err == nil && list.Signed.Version != edition {
		err = fmt.Errorf("is edition %d", list.Signed.Version)
	}
	if err == nil {
		err = held.VerifyDelegate(metadata.TARGETS, list)
	}
	if err == nil && list.Signed.IsExpired(now) {
		err = fmt.Errorf("ended on %s; see release renew", list.Signed.Expires.Format(time.DateOnly))
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	for target, about := range list.Signed.Targets {
		if err := takeProgram(from, to, target, about); err != nil {
			return nil, fmt.Errorf("%s: %w", target, err)
		}
	}
	// Last, so that nothing is announced that is not there.
	if err := copyFile(filepath.Join(to, name), filepath.Join(from, name)); err != nil {
		return nil, err
	}
	return listed(list.Signed.Targets), nil
}

func trusts(root *metadata.Metadata[metadata.RootType], online ed25519.PublicKey) error {
	id, _, err := idOf(online)
	if err != nil {
		return err
	}
	for _, role := range []string{metadata.SNAPSHOT, metadata.TIMESTAMP} {
		if r := root.Signed.Roles[role]; r == nil || !slices.Contains(r.KeyIDs, id) {
			return fmt.Errorf("%w; see release online and release rotate -online", ErrKey)
		}
	}
	return nil
}

func takeProgram(from, to, target string, about *metadata.TargetFiles) error {
	if strings.ContainsAny(target, "/\\\x00") || len(about.Hashes["sha256"]) != sha256.Size {
		return errors.New("is no name of a program, or has no hash")
	}
	name := filepath.Join(release.TargetsDir, fmt.Sprintf("%x.%s", []byte(about.Hashes["sha256"]), target))
	if info, err := os.Stat(filepath.Join(to, name)); err == nil && info.Size() == about.Length {
		return nil // it was verified when it came
	}
	length, sum, err := sumOf(filepath.Join(from, name))
	if err == nil && (length != about.Length || !slices.Equal(sum, []byte(about.Hashes["sha256"]))) {
		err = errors.New("the program is not what was signed")
	}
	if err == nil {
		err = copyFile(filepath.Join(to, name), filepath.Join(from, name))
	}
	return err
}

// A Site serves a repository, and says what is newest in it. It sees at once what is
// published into its folder by another process.
type Site struct {
	dir string
	key ed25519.PrivateKey
	now func() time.Time

	mu     sync.Mutex
	held   *edition
	looked time.Time
}

// An edition is what is served until something newer is published.
type edition struct {
	targets int64
	list    []byte
	expires time.Time
	all     []Release
	first   [sha256.Size]byte // hash of the first root
	rootNo  int64
}

// NewSite returns the site of a served repository. One that is empty serves nothing
// until something is published.
func NewSite(dir string, key ed25519.PrivateKey, now func() time.Time) *Site {
	return &Site{dir: dir, key: key, now: now}
}

// lookEvery is how often the folder is looked at.
const lookEvery = time.Second

func (s *Site) edition() (*edition, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); s.held != nil && now.Sub(s.looked) < lookEvery {
		return s.held, nil
	}
	n, err := newestTargets(s.dir)
	if err != nil {
		return nil, err
	}
	rootNo := int64(1)
	if s.held != nil {
		rootNo = s.held.rootNo
	}
	for {
		if _, err := os.Stat(s.path("%d.root.json", rootNo+1)); err != nil {
			break
		}
		rootNo++
	}
	s.looked = time.Now()
	if s.held != nil && s.held.targets == n && s.held.rootNo == rootNo {
		return s.held, nil
	}
	e := &edition{targets: n, rootNo: rootNo}
	if e.list, err = os.ReadFile(s.path("%d.targets.json", n)); err != nil {
		return nil, err
	}
	m, err := metadata.Targets().FromBytes(e.list)
	if err != nil {
		return nil, err
	}
	first, err := os.ReadFile(s.path("%d.root.json", 1))
	if err != nil {
		return nil, err
	}
	e.first = sha256.Sum256(first)
	e.expires, e.all = m.Signed.Expires, listed(m.Signed.Targets)
	s.held = e
	return e, nil
}

func (s *Site) path(format string, n int64) string {
	return filepath.Join(s.dir, fmt.Sprintf(format, n))
}

// Releases returns what is listed, newest first, and when the list ends.
func (s *Site) Releases() ([]Release, time.Time, error) {
	e, err := s.edition()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, time.Time{}, nil
	}
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("releases: site: %w", err)
	}
	return e.all, e.expires, nil
}

// First returns the hash of the first root, which a kiosk that has none is told; zero
// if nothing was published yet.
func (s *Site) First() [sha256.Size]byte {
	e, err := s.edition()
	if err != nil {
		return [sha256.Size]byte{}
	}
	return e.first
}

// What a server signs has a version made of the list's edition and of the time, so
// that several servers say the same, and an edition's are higher than those of the
// one before.
const (
	snapshotSpan  = 1_000_000   // days
	timestampSpan = 100_000_000 // hours
)

func (e *edition) snapshotVersion(now time.Time) int64 {
	return e.targets*snapshotSpan + now.Unix()/(24*60*60)
}

func (s *Site) snapshot(e *edition, version int64) ([]byte, error) {
	from := time.Unix(version%snapshotSpan*24*60*60, 0).UTC()
	m := metadata.Snapshot(from.Add(SnapshotLasts))
	m.Signed.Version = version
	m.Signed.Meta = map[string]*metadata.MetaFiles{"targets.json": about(e.targets, e.list)}
	return s.sealed(m.ToBytes, sign(m, s.key))
}

func (s *Site) timestamp(e *edition, now time.Time) ([]byte, error) {
	snapshot, err := s.snapshot(e, e.snapshotVersion(now))
	if err != nil {
		return nil, err
	}
	hour := now.Unix() / (60 * 60)
	m := metadata.Timestamp(time.Unix(hour*60*60, 0).UTC().Add(TimestampLasts))
	m.Signed.Version = e.targets*timestampSpan + hour
	m.Signed.Meta = map[string]*metadata.MetaFiles{"snapshot.json": about(e.snapshotVersion(now), snapshot)}
	return s.sealed(m.ToBytes, sign(m, s.key))
}

func (s *Site) sealed(bytes func(pretty bool) ([]byte, error), err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return bytes(false)
}

func about(version int64, b []byte) *metadata.MetaFiles {
	m := metadata.MetaFile(version)
	sum := sha256.Sum256(b)
	m.Length, m.Hashes = int64(len(b)), metadata.Hashes{"sha256": sum[:]}
	return m
}

var (
	snapshotName = regexp.MustCompile(`^([0-9]{1,15})\.snapshot\.json$`)
	metadataName = regexp.MustCompile(`^[0-9]{1,15}\.(root|targets)\.json$`)
	buildName    = regexp.MustCompile(`^targets/[0-9a-f]{64}\.` + release.Product + `-[0-9.]{5,20}-[a-z0-9-]{1,32}$`)
)

// Serve answers a request for one file of the repository.
func (s *Site) Serve(w http.ResponseWriter, r *http.Request, name string) error {
	e, err := s.edition()
	if err != nil {
		return notThere(err)
	}
	h := w.Header()
	now := s.now()
	signed := func(b []byte, err error, cache string) error {
		if err != nil {
			return fmt.Errorf("releases: site: %w", err)
		}
		h.Set("Content-Type", "application/json")
		h.Set("Cache-Control", cache)
		h.Set("Content-Length", strconv.Itoa(len(b)))
		if r.Method != http.MethodHead {
			w.Write(b) // or the kiosk has gone
		}
		return nil
	}
	const forGood = "public, max-age=31536000, immutable"
	switch {
	case name == "timestamp.json":
		b, err := s.timestamp(e, now)
		return signed(b, err, "no-store")
	case snapshotName.MatchString(name):
		v, _ := strconv.ParseInt(snapshotName.FindStringSubmatch(name)[1], 10, 64)
		// A timestamp from just before midnight names yesterday's.
		if newest := e.snapshotVersion(now); v != newest && v != newest-1 {
			return fs.ErrNotExist
		}
		b, err := s.snapshot(e, v)
		return signed(b, err, "no-store")
	case metadataName.MatchString(name), buildName.MatchString(name):
		f, err := os.Open(filepath.Join(s.dir, name))
		if err != nil {
			return notThere(err)
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return notThere(err)
		}
		h.Set("Cache-Control", forGood)
		h.Set("Content-Type", "application/octet-stream")
		if strings.HasSuffix(name, ".json") {
			h.Set("Content-Type", "application/json")
		}
		http.ServeContent(w, r, "", info.ModTime(), f)
		return nil
	}
	return fs.ErrNotExist
}

func notThere(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fs.ErrNotExist
	}
	return fmt.Errorf("releases: site: %w", err)
}

// Stick writes all that a kiosk needs to take the listed releases, or one version of
// them, into a folder of a USB stick.
func (s *Site) Stick(dir, version string) error {
	e, err := s.edition()
	if err != nil {
		return fmt.Errorf("releases: stick: %w", err)
	}
	out := filepath.Join(dir, release.StickDir)
	if err := os.MkdirAll(filepath.Join(out, release.TargetsDir), 0o755); err != nil {
		return fmt.Errorf("releases: stick: %w", err)
	}
	now := s.now()
	list, err := metadata.Targets().FromBytes(e.list)
	if err != nil {
		return fmt.Errorf("releases: stick: %w", err)
	}
	found := false
	for target, about := range list.Signed.Targets {
		of, err := release.ParseAbout(orNothing(about))
		if err != nil || version != "" && of.Version != version {
			continue
		}
		found = true
		name := filepath.Join(release.TargetsDir, fmt.Sprintf("%x.%s", []byte(about.Hashes["sha256"]), target))
		if err := copyFile(filepath.Join(out, name), filepath.Join(s.dir, name)); err != nil {
			return fmt.Errorf("releases: stick: %w", err)
		}
	}
	if !found {
		return fmt.Errorf("releases: stick: no release %s is listed", version)
	}
	for n := int64(1); n <= e.rootNo; n++ {
		if err := copyFile(filepath.Join(out, fmt.Sprintf("%d.root.json", n)), s.path("%d.root.json", n)); err != nil {
			return fmt.Errorf("releases: stick: %w", err)
		}
	}
	snapshot, err := s.snapshot(e, e.snapshotVersion(now))
	if err == nil {
		err = replace(filepath.Join(out, fmt.Sprintf("%d.snapshot.json", e.snapshotVersion(now))), snapshot)
	}
	if err == nil {
		err = replace(filepath.Join(out, fmt.Sprintf("%d.targets.json", e.targets)), e.list)
	}
	var timestamp []byte
	if err == nil {
		timestamp, err = s.timestamp(e, now)
	}
	if err == nil {
		// Last: a kiosk looks for it.
		err = replace(filepath.Join(out, "timestamp.json"), timestamp)
	}
	if err != nil {
		return fmt.Errorf("releases: stick: %w", err)
	}
	return nil
}

func orNothing(t *metadata.TargetFiles) []byte {
	if t.Custom == nil {
		return nil
	}
	return *t.Custom
}
