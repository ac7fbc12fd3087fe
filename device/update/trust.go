package update

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"

	"github.com/qrgate/qrgate/device/durable"
	"github.com/qrgate/qrgate/sync/release"
)

// A Refusal is an error by which a version is not taken, with the reason that the
// server is told.
type Refusal struct {
	Reason release.Reason
	Err    error
}

// Error tells the cause.
func (r *Refusal) Error() string { return r.Err.Error() }

// Unwrap returns the cause.
func (r *Refusal) Unwrap() error { return r.Err }

func refuse(reason release.Reason, err error) error {
	if err == nil {
		return nil
	}
	if r := (*Refusal)(nil); errors.As(err, &r) {
		return err
	}
	return &Refusal{reason, err}
}

// Why returns the reason of an error that this package returned.
func Why(err error) release.Reason {
	if r := (*Refusal)(nil); errors.As(err, &r) {
		return r.Reason
	}
	return release.Unreached
}

// Judged reports whether an error says that a version was looked at to its end and will
// not do. Without it, as after a stop or a full disk, nothing speaks against the version.
func Judged(err error) bool {
	switch Why(err) {
	case release.Unsigned, release.Unlisted, release.Older, release.Expired:
		return err != nil
	}
	return false
}

const (
	trustFile = "trust.json"
	maxTrust  = 4 << 20

	maxTimestamp = 16 << 10
	maxRotations = 64 // of roots in one go
)

// A trust is the newest metadata that was verified, in one file, so that a power cut
// leaves the old or the new.
type trust struct {
	Anchor    string `json:"anchor"` // hash of the root that all of it goes back to
	Root      []byte `json:"root"`
	Timestamp []byte `json:"timestamp,omitempty"`
	Snapshot  []byte `json:"snapshot,omitempty"`
	Targets   []byte `json:"targets,omitempty"`
}

// openTrust reads what is held. What is damaged, or goes back to another root than
// the kiosk's, is begun anew: with it goes the memory of what came last, which a
// power cut alone cannot do.
func openTrust(path string, root []byte) *trust {
	sum := sha256.Sum256(root)
	anchor := hex.EncodeToString(sum[:])
	t := &trust{}
	info, err := os.Stat(path)
	if err == nil && info.Size() <= maxTrust {
		var b []byte
		if b, err = os.ReadFile(path); err == nil {
			err = json.Unmarshal(b, t)
		}
	}
	if err != nil || t.Anchor != anchor || len(t.Root) == 0 {
		return &trust{Anchor: anchor, Root: root}
	}
	if _, err := trustedmetadata.New(t.Root); err != nil {
		return &trust{Anchor: anchor, Root: root}
	}
	return t
}

// refresh brings t up to date from src. Nothing is believed that the roots have not
// signed, and nothing older than what is held; late takes what has expired if it is
// newer. What was verified before an error is kept in t.
func (t *trust) refresh(ctx context.Context, src Source, floor time.Time, late bool) (listed map[string]*metadata.TargetFiles, err error) {
	defer func() {
		// A document that its keys have signed and that lacks a part would end the
		// door's program in the library.
		if p := recover(); p != nil {
			err = refuse(release.Unsigned, fmt.Errorf("update: metadata without sense: %v", p))
		}
	}()
	set, err := trustedmetadata.New(t.Root)
	if err != nil {
		return nil, refuse(release.NoRoot, fmt.Errorf("update: root: %w", err))
	}
	set.RefTime = floor.UTC()
	if late {
		set.RefTime = time.Time{}
	}
	if err := t.newRoots(ctx, src, set); err != nil {
		return nil, err
	}
	before := int64(-1)
	if t.Timestamp != nil {
		// One whose time is over still guards against older ones; one of keys that
		// count no more does not.
		if _, err := set.UpdateTimestamp(t.Timestamp); err == nil || set.Timestamp != nil {
			before = set.Timestamp.Signed.Version
		}
	}
	b, err := read(ctx, src, "timestamp.json", maxTimestamp)
	if err != nil {
		return nil, err
	}
	_, err = set.UpdateTimestamp(b)
	switch {
	case errors.Is(err, &metadata.ErrEqualVersionNumber{}):
		if late {
			return nil, refuse(release.Expired, fmt.Errorf("update: the metadata has expired and is not newer: %w", err))
		}
	case err != nil:
		return nil, refuse(reasonOf(err), fmt.Errorf("update: timestamp: %w", err))
	default:
		if set.Timestamp.Signed.Meta["snapshot.json"] == nil {
			return nil, refuse(release.Unsigned, errors.New("update: timestamp without snapshot"))
		}
		t.Timestamp = b
	}
	if late && set.Timestamp.Signed.Version <= before {
		return nil, refuse(release.Expired, errors.New("update: the metadata has expired and is not newer"))
	}
	if err := t.newSnapshot(ctx, src, set); err != nil {
		return nil, err
	}
	if err := t.newTargets(ctx, src, set); err != nil {
		return nil, err
	}
	return set.Targets[metadata.TARGETS].Signed.Targets, nil
}

func (t *trust) newRoots(ctx context.Context, src Source, set *trustedmetadata.TrustedMetadata) error {
	for range maxRotations {
		b, err := read(ctx, src, strconv.FormatInt(set.Root.Signed.Version+1, 10)+".root.json", release.MaxMetadata)
		if errors.Is(err, ErrMissing) {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := set.UpdateRoot(b); err != nil {
			return refuse(reasonOf(err), fmt.Errorf("update: root: %w", err))
		}
		t.Root = b
	}
	return nil
}

func (t *trust) newSnapshot(ctx context.Context, src Source, set *trustedmetadata.TrustedMetadata) error {
	if t.Snapshot != nil {
		if _, err := set.UpdateSnapshot(t.Snapshot, true); err == nil {
			return nil
		} // it still guards against older ones
	}
	about := set.Timestamp.Signed.Meta["snapshot.json"]
	b, err := read(ctx, src, name(set, "snapshot", about.Version), limit(about.Length))
	if err != nil {
		return err
	}
	if _, err := set.UpdateSnapshot(b, false); err != nil {
		return refuse(reasonOf(err), fmt.Errorf("update: snapshot: %w", err))
	}
	t.Snapshot = b
	return nil
}

func (t *trust) newTargets(ctx context.Context, src Source, set *trustedmetadata.TrustedMetadata) error {
	if t.Targets != nil {
		if _, err := set.UpdateTargets(t.Targets); err == nil {
			return nil
		}
	}
	about := set.Snapshot.Signed.Meta["targets.json"]
	if about == nil {
		return refuse(release.Unsigned, errors.New("update: snapshot without targets"))
	}
	b, err := read(ctx, src, name(set, "targets", about.Version), limit(about.Length))
	if err != nil {
		return err
	}
	if _, err := set.UpdateTargets(b); err != nil {
		return refuse(reasonOf(err), fmt.Errorf("update: targets: %w", err))
	}
	t.Targets = b
	return nil
}

func name(set *trustedmetadata.TrustedMetadata, role string, version int64) string {
	if set.Root.Signed.ConsistentSnapshot {
		return fmt.Sprintf("%d.%s.json", version, role)
	}
	return role + ".json"
}

func limit(length int64) int64 {
	if length <= 0 || length > release.MaxMetadata {
		return release.MaxMetadata
	}
	return length
}

func reasonOf(err error) release.Reason {
	if errors.Is(err, &metadata.ErrExpiredMetadata{}) {
		return release.Expired
	}
	return release.Unsigned
}

// write keeps t for good.
func (t *trust) write(path string) error {
	b, err := json.Marshal(t)
	if err != nil {
		return err
	}
	if old, err := os.ReadFile(path); err == nil && string(old) == string(b) {
		return nil
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return durable.Replace(path, b)
}
