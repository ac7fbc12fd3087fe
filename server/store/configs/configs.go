// Package configs keeps what is said of kiosks, in layers, and what each kiosk was to
// run with. It is a room of package store.
//
// Its promise: a version of a layer or of a kiosk's document never changes once it is
// there, whoever changes a layer has seen the version before, and a kiosk's document
// is made of what counts at the moment at which it is stored, whichever server does.
//
//	c := configs.New(s, time.Now)
//	version, err := c.Save(ctx, change)
//	documents, err := c.Refresh(ctx) // makes those that have changed
//
// What layers make of each other is package fleet/configs' business, how documents
// reach kiosks that of package courier.
package configs

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/qrgate/qrgate/server/fleet/configs"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
)

// Configs keeps layers and documents.
type Configs struct {
	s   *store.Store
	now func() time.Time
}

// New returns the configurations in s.
func New(s *store.Store, now func() time.Time) *Configs { return &Configs{s, now} }

// A Version is what a layer said from some time on.
type Version struct {
	Layer    configs.LayerID
	No       int // 0 of a layer of which nothing was ever said
	Settings configs.Settings
	Why      string
	By       string // what the account is called; "" was the server itself
	Made     time.Time
}

// A Change is another version of a layer.
type Change struct {
	Layer    configs.LayerID
	Base     int // the version that whoever changes it has seen
	Settings configs.Settings
	Why      string
	By       string // account
}

// MaxWhy is the largest reason of a change in bytes.
const MaxWhy = 400

// Save stores a change and returns the new version's number. The error is
// qrgate.ErrConflict if somebody else has changed the layer since, and
// qrgate.ErrInvalid if it can be none.
func (c *Configs) Save(ctx context.Context, ch Change) (version int, err error) {
	err = c.s.Write(ctx, func(t store.Tx) error {
		version, err = SaveIn(t, c.now(), ch)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("configs: %s: %w", ch.Layer, err)
	}
	return version, nil
}

// SaveIn is [Configs.Save] in a transaction that does more: enrolment says in it
// where a new kiosk stands.
func SaveIn(t store.Tx, now time.Time, ch Change) (version int, err error) {
	said := maps.Clone(ch.Settings)
	maps.DeleteFunc(said, func(_, v string) bool { return v == "" })
	if said == nil {
		said = configs.Settings{}
	}
	body, err := json.Marshal(said) // in the order of the keys
	if err != nil || !text(string(body)) || !text(ch.Why) || len(ch.Why) > MaxWhy || ch.Layer == "" {
		return 0, qrgate.ErrInvalid
	}
	if err := rise(t); err != nil { // whoever else changes something waits from here on
		return 0, err
	}
	newest, before, err := newestOf(t, ch.Layer)
	if err != nil {
		return 0, err
	}
	if newest != ch.Base {
		return 0, qrgate.ErrConflict
	}
	_, err = t.Exec("INSERT INTO config_layers (layer, version, body, why, made_by, made) VALUES (?, ?, ?, ?, ?, ?)",
		string(ch.Layer), int64(newest+1), string(body), ch.Why, ch.By, now.UnixMilli())
	if err != nil {
		return 0, err
	}
	return newest + 1, t.Audit(ch.By, "change configuration", string(ch.Layer), changed(before, said))
}

func text(s string) bool { return utf8.ValidString(s) && !strings.Contains(s, "\x00") }

// changed returns the keys of what differs, for the audit row.
func changed(before, after configs.Settings) string {
	keys := map[string]bool{}
	for _, s := range []configs.Settings{before, after} {
		for key := range s {
			if before[key] != after[key] {
				keys[key] = true
			}
		}
	}
	return strings.Join(slices.Sorted(maps.Keys(keys)), ", ")
}

// rise notes that something has changed, and is the lock under which it does.
func rise(t store.Tx) error {
	_, err := t.Exec("INSERT INTO config_state (id, revision) VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET revision = config_state.revision + 1")
	return err
}

func newestOf(t store.Tx, id configs.LayerID) (no int, said configs.Settings, err error) {
	err = t.Each(func(rows *sql.Rows) error {
		var body string
		if err := rows.Scan(&no, &body); err != nil {
			return err
		}
		return json.Unmarshal([]byte(body), &said)
	}, "SELECT version, body FROM config_layers WHERE layer = ? ORDER BY version DESC LIMIT 1", string(id))
	return no, said, err
}

const versionColumns = `SELECT l.version, l.body, l.why, COALESCE(a.display, ''), l.made FROM config_layers l LEFT JOIN accounts a ON a.id = l.made_by WHERE l.layer = ?`

func (c *Configs) versions(ctx context.Context, id configs.LayerID, rest string, args ...any) (all []Version, err error) {
	err = c.s.Read(ctx, func(rows *sql.Rows) error {
		v := Version{Layer: id}
		var body string
		var made int64
		if err := rows.Scan(&v.No, &body, &v.Why, &v.By, &made); err != nil {
			return err
		}
		v.Made = time.UnixMilli(made)
		all = append(all, v)
		return json.Unmarshal([]byte(body), &all[len(all)-1].Settings)
	}, versionColumns+rest, append([]any{string(id)}, args...)...)
	if err != nil {
		return nil, fmt.Errorf("configs: %s: %w", id, err)
	}
	return all, nil
}

// MaxVersions is how many versions are listed.
const MaxVersions = 50

// Versions returns the newest versions of a layer, the newest first.
func (c *Configs) Versions(ctx context.Context, id configs.LayerID) ([]Version, error) {
	return c.versions(ctx, id, " ORDER BY l.version DESC LIMIT ?", int64(MaxVersions))
}

// Version returns one version of a layer, or qrgate.ErrNotFound; its newest is 0.
func (c *Configs) Version(ctx context.Context, id configs.LayerID, no int) (Version, error) {
	if no == 0 {
		all, err := c.versions(ctx, id, " ORDER BY l.version DESC LIMIT 1")
		if err != nil || len(all) == 0 {
			return Version{Layer: id, Settings: configs.Settings{}}, err
		}
		return all[0], nil
	}
	all, err := c.versions(ctx, id, " AND l.version = ?", int64(no))
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("configs: %s: version %d: %w", id, no, qrgate.ErrNotFound)
	}
	if err != nil {
		return Version{}, err
	}
	return all[0], nil
}

// A Group is kiosks of which something is said together.
type Group struct {
	ID     int64
	Name   string
	Kiosks int
}

// Groups returns all groups by name.
func (c *Configs) Groups(ctx context.Context) (all []Group, err error) {
	err = c.s.Read(ctx, func(rows *sql.Rows) error {
		var g Group
		err := rows.Scan(&g.ID, &g.Name, &g.Kiosks)
		all = append(all, g)
		return err
	}, `SELECT g.id, g.name, (SELECT COUNT(*) FROM config_members m WHERE m.group_id = g.id) FROM config_groups g WHERE g.removed = 0 ORDER BY g.name`)
	if err != nil {
		return nil, fmt.Errorf("configs: groups: %w", err)
	}
	return all, nil
}

// AddGroup makes a group without kiosks. The error is qrgate.ErrConflict if there is
// one of that name.
func (c *Configs) AddGroup(ctx context.Context, name, by string) (id int64, err error) {
	if name == "" || !text(name) {
		return 0, fmt.Errorf("configs: add group: %w", qrgate.ErrInvalid)
	}
	err = c.s.Write(ctx, func(t store.Tx) error {
		if err := rise(t); err != nil {
			return err
		}
		if _, err := t.Exec("INSERT INTO config_groups (id, name) SELECT COALESCE(MAX(id), 0) + 1, CAST(? AS TEXT) FROM config_groups", name); err != nil {
			return err
		}
		err := t.Each(func(rows *sql.Rows) error { return rows.Scan(&id) }, "SELECT id FROM config_groups WHERE name = ?", name)
		if err != nil {
			return err
		}
		return t.Audit(by, "add group of kiosks", string(configs.Group(id)), "")
	})
	if err != nil {
		return 0, fmt.Errorf("configs: add group: %w", err)
	}
	return id, nil
}
