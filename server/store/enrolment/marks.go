package enrolment

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/durable"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
)

// A Mark remembers outside of the database that a kiosk was revoked.
type Mark struct {
	Kiosk  string    `json:"kiosk"`
	Public []byte    `json:"public"`
	Since  time.Time `json:"since"`
	By     string    `json:"by,omitempty"` // account
	Wipe   bool      `json:"wipe,omitempty"`
}

// markSuffix is of files that are whole.
const markSuffix = ".json"

// name is of a kiosk and a key: after a restore a kiosk may be added anew under the
// name of one that the backup did not know.
func (m *Mark) name() string {
	sum := sha256.Sum256(m.Public)
	return m.Kiosk + "." + hex.EncodeToString(sum[:8]) + markSuffix
}

// A Kept is what the marks say that the database did not.
type Kept struct {
	Again   []string // kiosks that a backup had given their right back, and that have lost it again
	Unknown []Mark   // of keys that no kiosk of the database has
}

// Keep makes database and marks say the same of who is revoked. What a mark says
// stands, unless the database knows that the kiosk was reinstated since: then the
// database is no older than the mark. It is for a server that is about to listen, as
// its database may have been restored, and for now and then, as another server may
// have revoked.
func (e *Enrolments) Keep(ctx context.Context) (k Kept, err error) {
	if e.Marks == "" {
		return k, nil
	}
	if k, err = e.keep(ctx); err != nil {
		return k, fmt.Errorf("enrolment: keep revoked: %w", err)
	}
	return k, nil
}

func (e *Enrolments) keep(ctx context.Context) (k Kept, err error) {
	marks, err := e.marks()
	if err != nil {
		return k, err
	}
	all, err := e.Identities(ctx)
	if err != nil {
		return k, err
	}
	byID := make(map[string]*Identity, len(all))
	for _, i := range all {
		byID[i.Kiosk.ID] = i
	}
	said := map[string]Mark{}
	for _, m := range marks {
		i := byID[m.Kiosk]
		if i == nil || !bytes.Equal(i.Kiosk.Public, m.Public) {
			k.Unknown = append(k.Unknown, m)
			continue
		}
		said[m.Kiosk] = m
		revoked := i.Kiosk.State == qrgate.KioskRevoked
		if revoked && (i.Wipe || !m.Wipe || i.Revoked.After(m.Since)) {
			continue
		}
		again, err := e.again(ctx, m)
		if err != nil {
			return k, fmt.Errorf("kiosk %q: %w", m.Kiosk, err)
		}
		if !again {
			if err := e.forget(m); err != nil {
				return k, err
			}
		} else if !revoked {
			k.Again = append(k.Again, m.Kiosk)
		}
	}
	for _, i := range all {
		if i.Kiosk.State != qrgate.KioskRevoked {
			continue
		}
		if m, ok := said[i.Kiosk.ID]; ok && !i.Revoked.After(m.Since) {
			continue
		}
		if err := e.mark(i); err != nil {
			return k, err
		}
	}
	return k, nil
}

// again revokes a kiosk as a mark says, and reports whether it did: not one that was
// reinstated since.
func (e *Enrolments) again(ctx context.Context, m Mark) (done bool, err error) {
	err = e.s.Write(ctx, func(t store.Tx) error {
		done = true
		err := t.Each(func(*sql.Rows) error { done = false; return nil },
			"SELECT 1 FROM audit WHERE object = ? AND action = ? AND at > ? LIMIT 1", m.Kiosk, reinstated, m.Since.UnixMilli())
		if err != nil || !done {
			return err
		}
		if err := identify(t, m.Kiosk); err != nil {
			return err
		}
		if _, err := t.Exec("UPDATE kiosks SET state = ?, version = version + 1 WHERE id = ? AND kind = 0", int64(qrgate.KioskRevoked), m.Kiosk); err != nil {
			return err
		}
		wipe := int64(0)
		if m.Wipe {
			wipe = 1
		}
		if _, err := t.Exec("UPDATE kiosk_identities SET revoked = ?, revoked_by = ?, wipe = ? WHERE "+ofKiosk, m.Since.UnixMilli(), m.By, wipe, m.Kiosk); err != nil {
			return err
		}
		return t.Audit("", "revoke kiosk again", m.Kiosk, "")
	})
	return done, err
}

// remember marks kiosks that were revoked.
func (e *Enrolments) remember(ctx context.Context, kiosks []string) error {
	if e.Marks == "" {
		return nil
	}
	for _, id := range kiosks {
		i, err := e.Identity(ctx, id)
		if err != nil {
			return err
		}
		if err := e.mark(i); err != nil {
			return fmt.Errorf("kiosk %q is revoked, but an older backup would give it its right back: %w", id, err)
		}
	}
	return nil
}

// mark writes the mark of a kiosk durably.
func (e *Enrolments) mark(i *Identity) error {
	m := Mark{Kiosk: i.Kiosk.ID, Public: i.Kiosk.Public, Since: i.Revoked.UTC(), By: i.RevokedBy, Wipe: i.Wipe}
	if m.Since.IsZero() { // nobody wrote down when
		m.Since = e.now().UTC()
	}
	content, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(e.Marks, 0o700); err != nil {
		return err
	}
	return durable.Replace(filepath.Join(e.Marks, m.name()), content)
}

// forget removes the mark of a kiosk that was reinstated.
func (e *Enrolments) forget(m Mark) error {
	err := os.Remove(filepath.Join(e.Marks, m.name()))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// marks reads all marks.
func (e *Enrolments) marks() (all []Mark, err error) {
	entries, err := os.ReadDir(e.Marks)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), markSuffix) { // one that was being written
			continue
		}
		content, err := os.ReadFile(filepath.Join(e.Marks, entry.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue // it was reinstated a moment ago
		}
		if err != nil {
			return nil, err
		}
		var m Mark
		if err := json.Unmarshal(content, &m); err != nil {
			return nil, fmt.Errorf("%s: %w; without it a kiosk that was revoked may connect: put a copy in its place, or remove it and revoke again", filepath.Join(e.Marks, entry.Name()), err)
		}
		all = append(all, m)
	}
	return all, nil
}
