package releases

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"

	"github.com/qrgate/qrgate/server/durable"
	"github.com/qrgate/qrgate/sync/release"
)

// How long what keepers sign lasts, unless they say otherwise.
const (
	RootLasts    = 3 * 365 * 24 * time.Hour
	TargetsLasts = 365 * 24 * time.Hour
)

const (
	draftRoot    = "draft.root.json"
	draftTargets = "draft.targets.json"
)

// A Repository is one in a folder. Only one program works on it at a time.
type Repository struct {
	dir     string
	root    *metadata.Metadata[metadata.RootType]
	targets *metadata.Metadata[metadata.TargetsType]
	now     time.Time
}

// Init makes a repository in a new folder, with the keys of three keepers in three
// other folders, each in a file of its own that is to be taken to a place of its own.
// online is the public half of the server's own key.
func Init(dir string, online ed25519.PublicKey, places []string, now time.Time) error {
	if len(places) != Keepers {
		return fmt.Errorf("releases: init: keys go to %d places, not %d", Keepers, len(places))
	}
	if _, err := os.Stat(filepath.Join(dir, "1.root.json")); err == nil {
		return fmt.Errorf("releases: init: %s: %w", dir, fs.ErrExist)
	}
	root, targets := metadata.Root(day(now.Add(RootLasts))), metadata.Targets(day(now.Add(TargetsLasts)))
	root.Signed.ConsistentSnapshot = true
	var keepers []keeper
	for i, place := range places {
		k, err := newKeeper()
		if err == nil {
			err = os.MkdirAll(place, 0o700)
		}
		if err == nil {
			err = k.write(filepath.Join(place, fmt.Sprintf("release-keeper-%d.pem", i+1)))
		}
		if err == nil {
			err = errors.Join(addKey(root, k.root.Public(), metadata.ROOT), addKey(root, k.targets.Public(), metadata.TARGETS))
		}
		if err != nil {
			return fmt.Errorf("releases: init: %w", err)
		}
		keepers = append(keepers, k)
	}
	err := errors.Join(addKey(root, online, metadata.SNAPSHOT), addKey(root, online, metadata.TIMESTAMP))
	root.Signed.Roles[metadata.ROOT].Threshold, root.Signed.Roles[metadata.TARGETS].Threshold = Threshold, Threshold
	for _, k := range keepers {
		err = errors.Join(err, sign(root, k.root), sign(targets, k.targets))
	}
	if err == nil {
		err = os.MkdirAll(filepath.Join(dir, release.TargetsDir), 0o755)
	}
	if err == nil {
		err = errors.Join(write(dir, "1.root.json", root), write(dir, "1.targets.json", targets))
	}
	if err != nil {
		return fmt.Errorf("releases: init: %w", err)
	}
	return nil
}

// day rounds up to a day: nobody needs to know at what second something was signed.
func day(t time.Time) time.Time {
	return t.UTC().Truncate(24 * time.Hour).Add(24 * time.Hour)
}

func addKey(root *metadata.Metadata[metadata.RootType], public any, role string) error {
	_, k, err := idOf(public)
	if err != nil {
		return err
	}
	return root.Signed.AddKey(k, role)
}

func write[T metadata.Roles](dir, name string, m *metadata.Metadata[T]) error {
	b, err := m.ToBytes(true)
	if err != nil {
		return err
	}
	return replace(filepath.Join(dir, name), b)
}

// Open opens a repository and verifies its roots and its newest list of releases.
func Open(dir string, now time.Time) (*Repository, error) {
	r := &Repository{dir: dir, now: now}
	var err error
	if r.root, err = openRoot(dir); err == nil {
		r.targets, err = openTargets(dir, r.root)
	}
	if err != nil {
		return nil, fmt.Errorf("releases: %s: %w", dir, err)
	}
	return r, nil
}

// openRoot follows the roots from the first to the newest.
func openRoot(dir string) (*metadata.Metadata[metadata.RootType], error) {
	first, err := os.ReadFile(filepath.Join(dir, "1.root.json"))
	if err != nil {
		return nil, err
	}
	set, err := trustedmetadata.New(first)
	if err != nil {
		return nil, fmt.Errorf("1.root.json: %w", err)
	}
	for {
		name := fmt.Sprintf("%d.root.json", set.Root.Signed.Version+1)
		b, err := os.ReadFile(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			return set.Root, nil
		}
		if err == nil {
			_, err = set.UpdateRoot(b)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
}

// newestTargets returns the highest edition of the list of releases that is there.
func newestTargets(dir string) (int64, error) {
	all, err := os.ReadDir(dir)
	if err != nil {
		return 0, err
	}
	newest := int64(0)
	for _, e := range all {
		if n, ok := strings.CutSuffix(e.Name(), ".targets.json"); ok {
			if v, err := strconv.ParseInt(n, 10, 64); err == nil {
				newest = max(newest, v)
			}
		}
	}
	if newest == 0 {
		return 0, fmt.Errorf("no list of releases: %w", fs.ErrNotExist)
	}
	return newest, nil
}

func openTargets(dir string, root *metadata.Metadata[metadata.RootType]) (*metadata.Metadata[metadata.TargetsType], error) {
	newest, err := newestTargets(dir)
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("%d.targets.json", newest)
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return nil, err
	}
	m, err := metadata.Targets().FromBytes(b)
	if err == nil && m.Signed.Version != newest {
		err = fmt.Errorf("is edition %d", m.Signed.Version)
	}
	if err == nil {
		err = root.VerifyDelegate(metadata.TARGETS, m)
		if _, being := os.Stat(filepath.Join(dir, draftTargets)); err != nil && being == nil {
			err = nil // a keeper's keys were replaced, and the list is being signed anew
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return m, nil
}

// A Release is one version with the machines that it was built for.
type Release struct {
	Version string
	Arches  []string
	Note    string
}

// Releases returns what is listed, newest first.
func (r *Repository) Releases() []Release { return listed(r.targets.Signed.Targets) }

func listed(targets map[string]*metadata.TargetFiles) []Release {
	byVersion := map[string]*Release{}
	for name, target := range targets {
		if target == nil || target.Custom == nil {
			continue
		}
		about, err := release.ParseAbout(*target.Custom)
		if err != nil || about.Is(about.Version, about.Arch) != nil || name != release.Name(about.Version, about.Arch) {
			continue
		}
		one := byVersion[about.Version]
		if one == nil {
			one = &Release{Version: about.Version}
			byVersion[about.Version] = one
		}
		one.Arches = append(one.Arches, about.Arch)
		one.Note = max(one.Note, about.Note)
	}
	var all []Release
	for _, one := range byVersion {
		slices.Sort(one.Arches)
		all = append(all, *one)
	}
	slices.SortFunc(all, func(a, b Release) int { return release.Compare(b.Version, a.Version) })
	return all
}

// draft returns the list that is being made, or a new one that continues the newest.
func (r *Repository) draft() (*metadata.Metadata[metadata.TargetsType], error) {
	m, err := metadata.Targets().FromFile(filepath.Join(r.dir, draftTargets))
	if err == nil && m.Signed.Version == r.targets.Signed.Version+1 {
		return m, nil
	}
	b, err := r.targets.ToBytes(false)
	if err != nil {
		return nil, err
	}
	if m, err = metadata.Targets().FromBytes(b); err != nil {
		return nil, err
	}
	m.Signed.Version++
	m.Signed.Expires = day(r.now.Add(TargetsLasts))
	m.ClearSignatures()
	return m, nil
}

// machines are the processors of [release.Arches] as ELF files name them.
var machines = map[string]elf.Machine{"arm64": elf.EM_AARCH64, "arm": elf.EM_ARM, "amd64": elf.EM_X86_64}

// Add puts a program into the list that is being made. It must be built for arch. What
// was signed of that list is void.
func (r *Repository) Add(version, arch, program, note string) error {
	if !release.Valid(version) {
		return fmt.Errorf("releases: add: %q is no version; write three numbers, as 1.4.0", version)
	}
	if err := judge(version, arch, program); err != nil {
		return fmt.Errorf("releases: add: %w", err)
	}
	if strings.ContainsAny(note, "\r\n") || len(note) > 200 {
		return errors.New("releases: add: a note is one line of at most 200 bytes")
	}
	m, err := r.draft()
	if err != nil {
		return fmt.Errorf("releases: add: %w", err)
	}
	name := release.Name(version, arch)
	length, sum, err := sumOf(program)
	if most := release.MaxBytes(arch); err == nil && length > most {
		err = fmt.Errorf("%s has more than %d bytes", program, most)
	}
	if err == nil {
		err = copyFile(filepath.Join(r.dir, release.TargetsDir, fmt.Sprintf("%x.%s", sum, name)), program)
	}
	if err != nil {
		return fmt.Errorf("releases: add: %w", err)
	}
	custom := json.RawMessage(release.About{Product: release.Product, Version: version, Arch: arch, Note: note}.Encode())
	m.Signed.Targets[name] = &metadata.TargetFiles{Length: length, Hashes: metadata.Hashes{"sha256": sum}, Custom: &custom, Path: name}
	return r.keepDraft(m)
}

// judge says why a file is no build of a version for an arch.
func judge(version, arch, path string) error {
	if slices.Contains(release.Systems(), arch) {
		return judgeSystem(arch, path)
	}
	want, ok := machines[arch]
	if !ok {
		return fmt.Errorf("%q is none of %s", arch, strings.Join(append(release.Arches(), release.Systems()...), ", "))
	}
	f, err := elf.Open(path)
	if err != nil {
		return fmt.Errorf("%s is no program: %w", path, err)
	}
	built := f.Machine
	f.Close()
	if built != want {
		return fmt.Errorf("%s is built for %s, not for %s", path, built, arch)
	}
	if b, err := os.ReadFile(path); err != nil || !bytes.Contains(b, []byte(version)) {
		return errors.Join(fmt.Errorf("%s is not built as %s: no kiosk would take it", path, version), err)
	}
	return nil
}

// judgeSystem says why a file is no system of a card. What is in it is packed, so that
// its version cannot be seen.
func judgeSystem(arch, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	first := make([]byte, 512)
	if _, err := f.ReadAt(first, 0); err != nil || first[510] != 0x55 || first[511] != 0xaa {
		return errors.Join(fmt.Errorf("%s is no %s", path, arch), err)
	}
	return nil
}

// Withdraw takes a version off the list that is being made: kiosks take it no more.
func (r *Repository) Withdraw(version string) error {
	m, err := r.draft()
	if err != nil {
		return fmt.Errorf("releases: withdraw: %w", err)
	}
	before := len(m.Signed.Targets)
	for _, arch := range append(release.Arches(), release.Systems()...) {
		delete(m.Signed.Targets, release.Name(version, arch))
	}
	if len(m.Signed.Targets) == before {
		return fmt.Errorf("releases: withdraw: %s is not listed", version)
	}
	return r.keepDraft(m)
}

// Renew makes a list, and with root a root, that say the same and last longer.
func (r *Repository) Renew(root bool) error {
	m, err := r.draft()
	if err == nil {
		m.Signed.Expires = day(r.now.Add(TargetsLasts))
		err = r.keepDraft(m)
	}
	if err == nil && root {
		var next *metadata.Metadata[metadata.RootType]
		if next, err = r.nextRoot(); err == nil {
			err = write(r.dir, draftRoot, next)
		}
	}
	if err != nil {
		return fmt.Errorf("releases: renew: %w", err)
	}
	return nil
}

func (r *Repository) keepDraft(m *metadata.Metadata[metadata.TargetsType]) error {
	m.ClearSignatures()
	return write(r.dir, draftTargets, m)
}

// nextRoot returns the root that is being made, or a new one that continues the
// newest.
func (r *Repository) nextRoot() (*metadata.Metadata[metadata.RootType], error) {
	m, err := metadata.Root().FromFile(filepath.Join(r.dir, draftRoot))
	if err != nil || m.Signed.Version != r.root.Signed.Version+1 {
		b, err := r.root.ToBytes(false)
		if err != nil {
			return nil, err
		}
		if m, err = metadata.Root().FromBytes(b); err != nil {
			return nil, err
		}
		m.Signed.Version++
	}
	m.Signed.Expires = day(r.now.Add(RootLasts))
	m.ClearSignatures()
	return m, nil
}

// Rotate puts new keys in the place of one keeper's, whose root key's id begins with
// replace, and writes them to a file in a folder. Two of the keepers before must sign
// the new root, and two of those after, the new one among them or not.
func (r *Repository) Rotate(replace, place string) (file string, err error) {
	next, err := r.nextRoot()
	if err != nil {
		return "", fmt.Errorf("releases: rotate: %w", err)
	}
	roots, targets := next.Signed.Roles[metadata.ROOT], next.Signed.Roles[metadata.TARGETS]
	at := -1
	for i, id := range roots.KeyIDs {
		if strings.HasPrefix(id, replace) && replace != "" {
			if at >= 0 {
				return "", fmt.Errorf("releases: rotate: %q begins more than one keeper's id", replace)
			}
			at = i
		}
	}
	if at < 0 || at >= len(targets.KeyIDs) {
		return "", fmt.Errorf("releases: rotate: no keeper %q; see release show", replace)
	}
	k, err := newKeeper()
	if err != nil {
		return "", fmt.Errorf("releases: rotate: %w", err)
	}
	// A keeper's two keys stand at the same place in their roles.
	err = errors.Join(next.Signed.RevokeKey(roots.KeyIDs[at], metadata.ROOT), next.Signed.RevokeKey(targets.KeyIDs[at], metadata.TARGETS),
		addKey(next, k.root.Public(), metadata.ROOT), addKey(next, k.targets.Public(), metadata.TARGETS))
	if err == nil {
		err = os.MkdirAll(place, 0o700)
	}
	if err == nil {
		id, _, _ := idOf(k.root.Public())
		file = filepath.Join(place, "release-keeper-"+id[:8]+".pem")
		err = k.write(file)
	}
	if err == nil {
		err = write(r.dir, draftRoot, next)
	}
	if err == nil {
		// The list of releases must be signed by keys that count.
		var m *metadata.Metadata[metadata.TargetsType]
		if m, err = r.draft(); err == nil {
			err = r.keepDraft(m)
		}
	}
	if err != nil {
		return "", fmt.Errorf("releases: rotate: %w", err)
	}
	return file, nil
}

// RotateOnline puts another server's key in the place of the one that counts.
func (r *Repository) RotateOnline(online ed25519.PublicKey) error {
	next, err := r.nextRoot()
	if err == nil {
		for _, role := range []string{metadata.SNAPSHOT, metadata.TIMESTAMP} {
			for _, id := range slices.Clone(next.Signed.Roles[role].KeyIDs) {
				err = errors.Join(err, next.Signed.RevokeKey(id, role))
			}
			err = errors.Join(err, addKey(next, online, role))
		}
	}
	if err == nil {
		err = write(r.dir, draftRoot, next)
	}
	if err != nil {
		return fmt.Errorf("releases: rotate: %w", err)
	}
	return nil
}

// Left says of what is being made how many signatures are still missing; -1 is
// nothing being made.
type Left struct{ Root, Targets int }

// Sign adds one keeper's signatures to what is being made. What has enough of them
// counts from then on.
func (r *Repository) Sign(keyFile string) (Left, error) {
	k, err := readKeeper(keyFile)
	if err != nil {
		return Left{}, fmt.Errorf("releases: sign: %w", err)
	}
	left := Left{-1, -1}
	if next, err := metadata.Root().FromFile(filepath.Join(r.dir, draftRoot)); err == nil {
		if left.Root, err = r.signRoot(next, k); err != nil {
			return left, fmt.Errorf("releases: sign: root: %w", err)
		}
	} else if !missing(err) {
		return left, fmt.Errorf("releases: sign: %w", err)
	}
	if m, err := metadata.Targets().FromFile(filepath.Join(r.dir, draftTargets)); err == nil {
		if left.Targets, err = r.signTargets(m, k); err != nil {
			return left, fmt.Errorf("releases: sign: list: %w", err)
		}
	} else if !missing(err) {
		return left, fmt.Errorf("releases: sign: %w", err)
	}
	if left == (Left{-1, -1}) {
		return left, fmt.Errorf("releases: sign: nothing is being made")
	}
	return left, nil
}

func missing(err error) bool {
	return errors.Is(err, fs.ErrNotExist)
}

func (r *Repository) signRoot(next *metadata.Metadata[metadata.RootType], k keeper) (int, error) {
	id, _, err := idOf(k.root.Public())
	if err != nil {
		return 0, err
	}
	if !slices.Contains(next.Signed.Roles[metadata.ROOT].KeyIDs, id) && !slices.Contains(r.root.Signed.Roles[metadata.ROOT].KeyIDs, id) {
		return 0, errors.New("this keeper's keys do not count here")
	}
	if err := sign(next, k.root); err != nil {
		return 0, err
	}
	left := max(lacks(next.Signatures, r.root.Signed.Roles[metadata.ROOT]), lacks(next.Signatures, next.Signed.Roles[metadata.ROOT]))
	if left > 0 {
		return left, write(r.dir, draftRoot, next)
	}
	if err := errors.Join(r.root.VerifyDelegate(metadata.ROOT, next), next.VerifyDelegate(metadata.ROOT, next)); err != nil {
		return 0, err
	}
	if err := write(r.dir, fmt.Sprintf("%d.root.json", next.Signed.Version), next); err != nil {
		return 0, err
	}
	r.root = next
	return 0, os.Remove(filepath.Join(r.dir, draftRoot))
}

func (r *Repository) signTargets(m *metadata.Metadata[metadata.TargetsType], k keeper) (int, error) {
	id, _, err := idOf(k.targets.Public())
	if err != nil {
		return 0, err
	}
	role := r.root.Signed.Roles[metadata.TARGETS]
	if !slices.Contains(role.KeyIDs, id) {
		// Whose key comes with the next root signs once that counts.
		return lacks(m.Signatures, role), nil
	}
	if err := sign(m, k.targets); err != nil {
		return 0, err
	}
	if left := lacks(m.Signatures, role); left > 0 {
		return left, write(r.dir, draftTargets, m)
	}
	if err := r.root.VerifyDelegate(metadata.TARGETS, m); err != nil {
		return 0, err
	}
	if err := write(r.dir, fmt.Sprintf("%d.targets.json", m.Signed.Version), m); err != nil {
		return 0, err
	}
	r.targets = m
	return 0, os.Remove(filepath.Join(r.dir, draftTargets))
}

func lacks(have []metadata.Signature, role *metadata.Role) int {
	n := role.Threshold
	for _, s := range have {
		if slices.Contains(role.KeyIDs, s.KeyID) {
			n--
		}
	}
	return max(n, 0)
}

// A Status is what stands in a repository.
type Status struct {
	Root, Targets               int64 // editions
	RootExpires, TargetsExpires time.Time
	Keepers                     []string // ids of their root keys
	Releases                    []Release
	Draft                       []Release // nil if nothing is being made
	Left                        Left
}

// Status returns what stands in the repository.
func (r *Repository) Status() Status {
	s := Status{
		Root: r.root.Signed.Version, RootExpires: r.root.Signed.Expires, Targets: r.targets.Signed.Version, TargetsExpires: r.targets.Signed.Expires,
		Keepers: r.root.Signed.Roles[metadata.ROOT].KeyIDs, Releases: r.Releases(), Left: Left{-1, -1},
	}
	if next, err := metadata.Root().FromFile(filepath.Join(r.dir, draftRoot)); err == nil {
		s.Left.Root = max(lacks(next.Signatures, r.root.Signed.Roles[metadata.ROOT]), lacks(next.Signatures, next.Signed.Roles[metadata.ROOT]))
	}
	if m, err := metadata.Targets().FromFile(filepath.Join(r.dir, draftTargets)); err == nil {
		s.Draft, s.Left.Targets = listed(m.Signed.Targets), lacks(m.Signatures, r.root.Signed.Roles[metadata.TARGETS])
		if s.Draft == nil {
			s.Draft = []Release{}
		}
	}
	return s
}

func sumOf(path string) (int64, []byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, nil, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	return n, h.Sum(nil), err
}

// copyFile copies a file so that it is there whole or not at all.
func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return put(to, in)
}

func replace(path string, b []byte) error { return put(path, strings.NewReader(string(b))) }

func put(path string, content io.Reader) error {
	tmp := path + ".new"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	return durable.SyncDir(filepath.Dir(path))
}
