package update_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/qrgate/qrgate/device/launcher"
	"github.com/qrgate/qrgate/device/update"
	"github.com/qrgate/qrgate/sync/release"
)

// start is when the test's repository was made, and the floor of its kiosk.
var start = time.Date(2026, 11, 26, 3, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

func key(n byte) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte{n})
	return ed25519.NewKeyFromSeed(seed[:])
}

func signer(k ed25519.PrivateKey) signature.Signer {
	s, err := signature.LoadSigner(k, crypto.Hash(0))
	if err != nil {
		panic(err)
	}
	return s
}

// Keys of the roles: three of the root and of targets, of which two sign, and one of
// what a server renews.
var (
	rootKeys   = []ed25519.PrivateKey{key(1), key(2), key(3)}
	targetKeys = []ed25519.PrivateKey{key(11), key(12), key(13)}
	onlineKey  = key(21)
)

// A repo is a repository that a test can alter in any way.
type repo struct {
	t         testing.TB
	root      *metadata.Metadata[metadata.RootType]
	targets   *metadata.Metadata[metadata.TargetsType]
	snapshot  *metadata.Metadata[metadata.SnapshotType]
	timestamp *metadata.Metadata[metadata.TimestampType]

	mu    sync.Mutex
	files fstest.MapFS
}

func newRepo(t testing.TB) *repo {
	r := &repo{
		t: t, files: fstest.MapFS{}, root: metadata.Root(start.Add(365 * day)), targets: metadata.Targets(start.Add(90 * day)),
		snapshot: metadata.Snapshot(start.Add(30 * day)), timestamp: metadata.Timestamp(start.Add(7 * day)),
	}
	for _, k := range rootKeys {
		r.add(k, metadata.ROOT)
	}
	for _, k := range targetKeys {
		r.add(k, metadata.TARGETS)
	}
	r.add(onlineKey, metadata.SNAPSHOT)
	r.add(onlineKey, metadata.TIMESTAMP)
	r.root.Signed.Roles[metadata.ROOT].Threshold = 2
	r.root.Signed.Roles[metadata.TARGETS].Threshold = 2
	r.putRoot(rootKeys[:2]...)
	r.put()
	return r
}

func (r *repo) add(k ed25519.PrivateKey, role string) {
	pub, err := metadata.KeyFromPublicKey(k.Public())
	if err == nil {
		err = r.root.Signed.AddKey(pub, role)
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *repo) revoke(k ed25519.PrivateKey, role string) {
	pub, err := metadata.KeyFromPublicKey(k.Public())
	if err == nil {
		var id string
		if id, err = pub.ID(); err == nil {
			err = r.root.Signed.RevokeKey(id, role)
		}
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

func sign[T metadata.Roles](r *repo, m *metadata.Metadata[T], keys ...ed25519.PrivateKey) []byte {
	m.ClearSignatures()
	for _, k := range keys {
		if _, err := m.Sign(signer(k)); err != nil {
			r.t.Fatal(err)
		}
	}
	b, err := m.ToBytes(false)
	if err != nil {
		r.t.Fatal(err)
	}
	return b
}

func (r *repo) file(name string, b []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.files[name] = &fstest.MapFile{Data: b, Mode: 0o644}
}

func (r *repo) content(name string) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	if f := r.files[name]; f != nil {
		return f.Data
	}
	return nil
}

func (r *repo) putRoot(keys ...ed25519.PrivateKey) {
	r.file(fmt.Sprintf("%d.root.json", r.root.Signed.Version), sign(r, r.root, keys...))
}

// put signs and publishes what has changed below the root.
func (r *repo) put() { r.putTargets(targetKeys[0], targetKeys[2]) }

func (r *repo) putTargets(keys ...ed25519.PrivateKey) {
	b := sign(r, r.targets, keys...)
	r.file(fmt.Sprintf("%d.targets.json", r.targets.Signed.Version), b)
	r.snapshot.Signed.Meta = map[string]*metadata.MetaFiles{"targets.json": meta(r.targets.Signed.Version, b)}
	r.putSnapshot(onlineKey)
}

func (r *repo) putSnapshot(keys ...ed25519.PrivateKey) {
	b := sign(r, r.snapshot, keys...)
	r.file(fmt.Sprintf("%d.snapshot.json", r.snapshot.Signed.Version), b)
	r.timestamp.Signed.Meta = map[string]*metadata.MetaFiles{"snapshot.json": meta(r.snapshot.Signed.Version, b)}
	r.putTimestamp(onlineKey)
}

func (r *repo) putTimestamp(keys ...ed25519.PrivateKey) {
	r.file("timestamp.json", sign(r, r.timestamp, keys...))
}

func meta(version int64, b []byte) *metadata.MetaFiles {
	m := metadata.MetaFile(version)
	sum := sha256.Sum256(b)
	m.Length, m.Hashes = int64(len(b)), metadata.Hashes{"sha256": sum[:]}
	return m
}

// rise makes the next edition of all but the root.
func (r *repo) rise() {
	r.targets.Signed.Version++
	r.snapshot.Signed.Version++
	r.timestamp.Signed.Version++
}

// release publishes a program for arm64.
func (r *repo) release(version string, program []byte) {
	r.releaseAs(release.Name(version, "arm64"), release.About{Product: release.Product, Version: version, Arch: "arm64"}, program)
}

func (r *repo) releaseAs(name string, about release.About, program []byte) {
	sum := sha256.Sum256(program)
	custom := json.RawMessage(about.Encode())
	r.targets.Signed.Targets[name] = &metadata.TargetFiles{
		Length: int64(len(program)), Hashes: metadata.Hashes{"sha256": sum[:]}, Custom: &custom, Path: name,
	}
	r.file(r.path(name), program)
	r.rise()
	r.put()
}

// path returns where a program lies in the repository.
func (r *repo) path(name string) string {
	return fmt.Sprintf("targets/%x.%s", []byte(r.targets.Signed.Targets[name].Hashes["sha256"]), name)
}

func program(n int) []byte {
	b := make([]byte, 200_000)
	for i := range b {
		b[i] = byte(i*n + i>>8)
	}
	return b
}

// ServeHTTP serves the repository.
func (r *repo) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	name := strings.TrimPrefix(q.URL.Path, "/cap-nhat/")
	b := r.content(name)
	if b == nil {
		http.NotFound(w, q)
		return
	}
	http.ServeContent(w, q, "", start, strings.NewReader(string(b)))
}

func (r *repo) serve() update.Source { return site(r.t, strings.TrimSuffix(r.address(), "/cap-nhat/")) }

// address is where the repository is served.
func (r *repo) address() string {
	s := httptest.NewServer(r)
	r.t.Cleanup(s.Close)
	return s.URL + "/cap-nhat/"
}

// memory is the repository without a network.
type memory struct{ *repo }

func (m memory) Open(_ context.Context, name string, from int64) (io.ReadCloser, int64, error) {
	b := m.content(name)
	if b == nil {
		return nil, 0, update.ErrMissing
	}
	return io.NopCloser(bytes.NewReader(b[from:])), from, nil
}

func site(t testing.TB, at string) update.Source {
	src, err := update.NewSite(at+"/cap-nhat/", nil)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// A kiosk is one that trusts the repository's first root.
type kiosk struct {
	*update.Client
	versions launcher.Versions
	ask      update.Ask
	t        testing.TB
}

func newKiosk(t testing.TB, r *repo) *kiosk {
	v := launcher.Versions{Dir: filepath.Join(t.TempDir(), "versions")}
	return &kiosk{update.NewClient(v, r.content("1.root.json"), "arm64"), v, update.Ask{Running: "1.0.0", Floor: start}, t}
}

// take finds and fetches a version; "" is the newest.
func (k *kiosk) take(src update.Source, version string) (update.Found, error) {
	ask := k.ask
	ask.Version = version
	f, err := k.Find(k.t.Context(), src, ask)
	if err == nil {
		err = k.Fetch(k.t.Context(), src, f, nil)
	}
	return f, err
}
