package configs

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/qrgate/qrgate/server/fleet/configs"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/sync/wire"
)

// A Kiosk is a kiosk with what is said of it.
type Kiosk struct {
	ID      string
	Place   string // name
	PlaceNo uint32 // 0 if it is not registered
	Group   int64  // 0 is none
	Revoked bool
	Layers  []configs.Layer // that say something of it, in the order in which they count

	no int64
}

// Values returns what counts for the kiosk and who says it.
func (k Kiosk) Values() []configs.Value { return configs.Effective(k.Place, k.Layers...) }

// Document makes the kiosk's document, without a stamp; see [configs.Document].
func (k Kiosk) Document() (*wire.ConfigDoc, error) { return configs.Document(k.ID, k.Values()) }

// With returns the kiosk as it would be if a layer said something else.
func (k Kiosk) With(id configs.LayerID, said configs.Settings) Kiosk {
	layers := make([]configs.Layer, 0, len(k.ids()))
	for _, of := range k.ids() {
		l := configs.Layer{ID: of}
		for _, is := range k.Layers {
			if is.ID == of {
				l.Settings = is.Settings
			}
		}
		if of == id {
			l.Settings = said
		}
		layers = append(layers, l)
	}
	k.Layers = layers
	return k
}

// Of reports whether a layer is said of the kiosk.
func (k Kiosk) Of(id configs.LayerID) bool {
	for _, of := range k.ids() {
		if of == id {
			return true
		}
	}
	return false
}

// ids returns the layers that are said of the kiosk, in the order in which they count.
func (k Kiosk) ids() []configs.LayerID {
	ids := []configs.LayerID{configs.Everywhere}
	if k.Group != 0 {
		ids = append(ids, configs.Group(k.Group))
	}
	if k.PlaceNo != 0 {
		ids = append(ids, configs.Place(k.PlaceNo))
	}
	return append(ids, configs.Kiosk(k.ID))
}

// A reader reads rows: a transaction, or the store outside of one.
type reader func(scan func(*sql.Rows) error, query string, args ...any) error

func (c *Configs) outside(ctx context.Context) reader {
	return func(scan func(*sql.Rows) error, query string, args ...any) error {
		return c.s.Read(ctx, scan, query, args...)
	}
}

// Kiosks returns all kiosks that may deliver, in the order in which they were added.
func (c *Configs) Kiosks(ctx context.Context) ([]Kiosk, error) {
	all, err := kiosks(c.outside(ctx), "k.state = ?", int64(qrgate.KioskActive))
	if err != nil {
		return nil, fmt.Errorf("configs: kiosks: %w", err)
	}
	return all, nil
}

// OfPlace returns the kiosks of a place that may deliver.
func (c *Configs) OfPlace(ctx context.Context, no uint32) ([]Kiosk, error) {
	all, err := kiosks(c.outside(ctx), "k.state = ? AND k.place_no = ?", int64(qrgate.KioskActive), int64(no))
	if err != nil {
		return nil, fmt.Errorf("configs: kiosks of place %d: %w", no, err)
	}
	return all, nil
}

// Kiosk returns one kiosk, or qrgate.ErrNotFound.
func (c *Configs) Kiosk(ctx context.Context, id string) (Kiosk, error) {
	all, err := kiosks(c.outside(ctx), "k.id = ?", id)
	if err == nil && len(all) == 0 {
		err = qrgate.ErrNotFound
	}
	if err != nil {
		return Kiosk{}, fmt.Errorf("configs: kiosk %q: %w", id, err)
	}
	return all[0], nil
}

func kiosks(read reader, where string, args ...any) ([]Kiosk, error) {
	said := map[configs.LayerID]configs.Settings{}
	err := read(func(rows *sql.Rows) error {
		var id, body string
		if err := rows.Scan(&id, &body); err != nil {
			return err
		}
		var s configs.Settings
		err := json.Unmarshal([]byte(body), &s)
		said[configs.LayerID(id)] = s
		return err
	}, `SELECT l.layer, l.body FROM config_layers l WHERE l.version = (SELECT MAX(n.version) FROM config_layers n WHERE n.layer = l.layer)`)
	if err != nil {
		return nil, err
	}
	var all []Kiosk
	err = read(func(rows *sql.Rows) error {
		var k Kiosk
		var state qrgate.KioskState
		if err := rows.Scan(&k.no, &k.ID, &k.Place, &k.PlaceNo, &k.Group, &state); err != nil {
			return err
		}
		k.Revoked = state != qrgate.KioskActive
		for _, id := range k.ids() {
			if s, ok := said[id]; ok {
				k.Layers = append(k.Layers, configs.Layer{ID: id, Settings: s})
			}
		}
		all = append(all, k)
		return nil
	}, `SELECT k.no, k.id, COALESCE(p.name, k.place), k.place_no, COALESCE(m.group_id, 0), k.state
		FROM kiosks k LEFT JOIN places p ON p.no = k.place_no LEFT JOIN config_members m ON m.kiosk_no = k.no
		WHERE k.kind = 0 AND `+where+` ORDER BY k.no`, args...)
	return all, err
}

// A Document is what a kiosk is to run with.
type Document struct {
	Kiosk   string
	Version uint64
	Body    *wire.ConfigDoc // without its stamp
	Made    time.Time
}

// A Mark changes when a document may have.
type Mark struct{ revision, kiosks, places int64 }

// Mark returns the mark of what is there now.
func (c *Configs) Mark(ctx context.Context) (Mark, error) {
	m, err := mark(c.outside(ctx))
	if err != nil {
		return m, fmt.Errorf("configs: mark: %w", err)
	}
	return m, nil
}

func mark(read reader) (m Mark, err error) {
	err = read(func(rows *sql.Rows) error { return rows.Scan(&m.revision, &m.kiosks, &m.places) },
		`SELECT COALESCE((SELECT revision FROM config_state), 0),
			(SELECT CAST(COALESCE(SUM(version + 1), 0) AS BIGINT) FROM kiosks WHERE kind = 0),
			(SELECT CAST(COALESCE(SUM(version + 1), 0) AS BIGINT) FROM places WHERE no IN (SELECT place_no FROM kiosks))`)
	return m, err
}

const (
	// refreshTries is how often documents are made anew because something changed
	// meanwhile.
	refreshTries = 20
	// refreshAtOnce is how many documents are stored in one transaction, so that
	// check-ins do not wait for all of them.
	refreshAtOnce = 200
)

// errMoved is returned where something has changed since documents were made.
var errMoved = errors.New("changed meanwhile")

// Refresh makes a document of each kiosk of which another one has to be made, and
// returns the newest of every kiosk that may deliver. What cannot be run with is not
// made one: the kiosk keeps the one before.
func (c *Configs) Refresh(ctx context.Context) (all []Document, err error) {
	for try := 1; ; try++ {
		all, err = c.refresh(ctx)
		if again := errors.Is(err, errMoved) || errors.Is(err, qrgate.ErrConflict); again && try < refreshTries && ctx.Err() == nil {
			continue
		}
		break
	}
	if err != nil {
		return nil, fmt.Errorf("configs: refresh: %w", err)
	}
	return all, nil
}

func (c *Configs) refresh(ctx context.Context) (all []Document, err error) {
	read := c.outside(ctx)
	before, err := mark(read)
	if err != nil {
		return nil, err
	}
	newest, err := documents(read)
	if err != nil {
		return nil, err
	}
	of, err := kiosks(read, "k.state = ?", int64(qrgate.KioskActive))
	if err != nil {
		return nil, err
	}
	var due []made
	for _, k := range of {
		held, known := newest[k.ID]
		if doc, err := k.Document(); err == nil {
			if body := wire.Encode(doc); !known || !bytes.Equal(body, wire.Encode(held.Body)) {
				held, known = Document{k.ID, held.Version + 1, doc, c.now()}, true
				due = append(due, made{held, k.no, body})
			}
		}
		if known {
			all = append(all, held)
		}
	}
	for some := range slices.Chunk(due, refreshAtOnce) {
		if err := c.s.Write(ctx, func(t store.Tx) error { return add(t, some, before) }); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// A made is a document that is to be stored.
type made struct {
	Document
	no   int64 // of the kiosk
	body []byte
}

// add stores documents that were made of what was there at a mark.
func add(t store.Tx, some []made, before Mark) error {
	// Whoever changes something waits, so none of these is older than what counts.
	if err := t.Lock("config_state"); err != nil {
		return err
	}
	if now, err := mark(t.Each); err != nil {
		return err
	} else if now != before {
		return errMoved
	}
	for _, d := range some {
		// Another server that has made one of the same mark has made the same.
		_, err := t.Exec("INSERT INTO config_documents (kiosk_no, version, body, made) VALUES (?, ?, ?, ?) ON CONFLICT (kiosk_no, version) DO NOTHING", d.no, int64(d.Version), d.body, d.Made.UnixMilli())
		if err != nil {
			return err
		}
	}
	return nil
}

const documentColumns = `SELECT k.id, d.version, d.body, d.made FROM config_documents d JOIN kiosks k ON k.no = d.kiosk_no `

func documents(read reader) (map[string]Document, error) {
	all := map[string]Document{}
	err := read(func(rows *sql.Rows) error {
		d, err := scanDocument(rows)
		all[d.Kiosk] = d
		return err
	}, documentColumns+"WHERE d.version = (SELECT MAX(n.version) FROM config_documents n WHERE n.kiosk_no = d.kiosk_no)")
	return all, err
}

func scanDocument(rows *sql.Rows) (Document, error) {
	var d Document
	var body []byte
	var made int64
	if err := rows.Scan(&d.Kiosk, &d.Version, &body, &made); err != nil {
		return d, err
	}
	d.Made, d.Body = time.UnixMilli(made), new(wire.ConfigDoc)
	return d, wire.Decode(body, d.Body)
}

// Documents returns the newest document of each kiosk that has one.
func (c *Configs) Documents(ctx context.Context) (map[string]Document, error) {
	all, err := documents(c.outside(ctx))
	if err != nil {
		return nil, fmt.Errorf("configs: documents: %w", err)
	}
	return all, nil
}

// Document returns one version of a kiosk's document, or qrgate.ErrNotFound; 0 is its
// newest.
func (c *Configs) Document(ctx context.Context, kiosk string, version uint64) (d Document, err error) {
	err = c.s.Read(ctx, func(rows *sql.Rows) error {
		var err error
		d, err = scanDocument(rows)
		return err
	}, documentColumns+"WHERE k.id = ? AND (d.version = ? OR CAST(? AS BIGINT) = 0) ORDER BY d.version DESC LIMIT 1", kiosk, int64(version), int64(version))
	if err == nil && d.Version == 0 {
		err = qrgate.ErrNotFound
	}
	if err != nil {
		return d, fmt.Errorf("configs: document of %q: %w", kiosk, err)
	}
	return d, nil
}

// Again makes the same document anew: a kiosk that has refused it, because nobody
// answered just then, tries it once more.
func (c *Configs) Again(ctx context.Context, kiosk, by string) error {
	err := c.s.Write(ctx, func(t store.Tx) error {
		if err := rise(t); err != nil {
			return err
		}
		n, err := t.Exec(`INSERT INTO config_documents (kiosk_no, version, body, made)
			SELECT d.kiosk_no, d.version + 1, d.body, CAST(? AS BIGINT) FROM config_documents d JOIN kiosks k ON k.no = d.kiosk_no
			WHERE k.id = ? AND d.version = (SELECT MAX(n.version) FROM config_documents n WHERE n.kiosk_no = d.kiosk_no)`, c.now().UnixMilli(), kiosk)
		switch {
		case err != nil:
			return err
		case n == 0:
			return qrgate.ErrNotFound
		}
		return t.Audit(by, "send configuration again", kiosk, "")
	})
	if err != nil {
		return fmt.Errorf("configs: kiosk %q: %w", kiosk, err)
	}
	return nil
}
