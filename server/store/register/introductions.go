package register

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
)

// An Introduction is what a place says of itself to its visitors.
type Introduction struct {
	Place    uint32 `json:"-"`
	About    string // paragraphs are parted by empty lines
	Offers   []Offer
	Links    []WebLink
	Phone    string
	Email    string
	Pictures []Picture `json:"-"` // in their order, without their data
	Version  int       `json:"-"` // rises with each change; 0 if nothing was ever written
	Shown    bool      `json:"-"` // to everybody
	Changed  time.Time `json:"-"`
}

// An Offer is a product or a service.
type Offer struct {
	Name  string
	Price int    // in đồng, 0 if PriceText says it or nobody has
	Terms string // the price in words: "theo thỏa thuận"
	Note  string
	Link  string
}

// A WebLink leads to a page elsewhere.
type WebLink struct{ Title, URL string }

// A Picture belongs to a place's introduction. What an id leads to never
// changes.
type Picture struct {
	ID            string
	Place         uint32
	Title         string // what is to be seen on it
	Width, Height int
	JPEG          []byte
}

// MaxPictures is how many pictures an introduction has at most.
const MaxPictures = 8

// ErrFull is returned for one picture, or one version of a poster, too many.
var ErrFull = errors.New("register: there are as many as there may be")

// Introduction returns what a place says of itself, shown or not. Of a place
// that has never written any it is empty.
func (r *Register) Introduction(ctx context.Context, no uint32) (*Introduction, error) {
	in := Introduction{Place: no}
	err := r.s.Read(ctx, in.scan, "SELECT body, version, shown, changed FROM introductions WHERE place = ?", int64(no))
	if err == nil {
		err = r.s.Read(ctx, func(rows *sql.Rows) error {
			var p Picture
			err := rows.Scan(&p.ID, &p.Place, &p.Title, &p.Width, &p.Height)
			in.Pictures = append(in.Pictures, p)
			return err
		}, "SELECT id, place, title, width, height FROM pictures WHERE place = ? ORDER BY no, id", int64(no))
	}
	if err != nil {
		return nil, fmt.Errorf("register: introduction %d: %w", no, err)
	}
	return &in, nil
}

func (in *Introduction) scan(rows *sql.Rows) error {
	var body string
	if err := rows.Scan(&body, &in.Version, (*flag)(&in.Shown), (*store.Milli)(&in.Changed)); err != nil {
		return err
	}
	return json.Unmarshal([]byte(body), in)
}

// SaveIntroduction stores the words of in, whether shown or not, if in.Version is
// still the latest, and raises it. Pictures are not its matter.
func (r *Register) SaveIntroduction(ctx context.Context, by string, in *Introduction) error {
	now := r.now()
	err := r.s.Write(ctx, func(t store.Tx) error {
		if in.Version == 0 {
			_, err := t.Exec("INSERT INTO introductions (place, body, version, shown, changed) VALUES (?, ?, 1, 0, ?)", int64(in.Place), jsonOf(in), now.UnixMilli())
			if err != nil {
				return err
			}
			return t.Audit(by, "write introduction", placeObject(in.Place), "")
		}
		n, err := t.Exec("UPDATE introductions SET body = ?, version = version + 1, changed = ? WHERE place = ? AND version = ?",
			jsonOf(in), now.UnixMilli(), int64(in.Place), in.Version)
		if err != nil {
			return err
		}
		if n == 0 {
			return qrgate.ErrConflict
		}
		return t.Audit(by, "write introduction", placeObject(in.Place), "")
	})
	if err != nil {
		return fmt.Errorf("register: save introduction %d: %w", in.Place, err)
	}
	in.Version, in.Changed = in.Version+1, now.Truncate(time.Millisecond)
	return nil
}

// ShowIntroduction makes an introduction public, or no longer.
func (r *Register) ShowIntroduction(ctx context.Context, by string, no uint32, shown bool) error {
	action := "hide introduction"
	if shown {
		action = "show introduction"
	}
	err := r.s.Write(ctx, func(t store.Tx) error {
		known, is := false, false
		err := t.Each(func(rows *sql.Rows) error { known = true; return rows.Scan((*flag)(&is)) }, "SELECT shown FROM introductions WHERE place = ?", int64(no))
		switch {
		case err != nil:
			return err
		case !known:
			return qrgate.ErrNotFound
		case is == shown:
			return nil
		}
		if _, err := t.Exec("UPDATE introductions SET shown = ? WHERE place = ?", toFlag(shown), int64(no)); err != nil {
			return err
		}
		return t.Audit(by, action, placeObject(no), "")
	})
	if err != nil {
		return fmt.Errorf("register: %s %d: %w", action, no, err)
	}
	return nil
}

// AddPicture adds a picture after the others and gives it an id. The error is
// [ErrFull] if there are [MaxPictures].
func (r *Register) AddPicture(ctx context.Context, by string, p *Picture) error {
	id := store.NewID()
	err := r.s.Write(ctx, func(t store.Tx) error {
		if err := t.Lock("pictures"); err != nil {
			return err
		}
		var n, last int64
		err := t.Each(func(rows *sql.Rows) error { return rows.Scan(&n, &last) }, "SELECT COUNT(*), COALESCE(MAX(no), 0) FROM pictures WHERE place = ?", int64(p.Place))
		if err != nil {
			return err
		}
		if n >= MaxPictures {
			return ErrFull
		}
		_, err = t.Exec("INSERT INTO pictures (id, place, no, title, width, height, jpeg, added) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
			id, int64(p.Place), last+1, p.Title, p.Width, p.Height, p.JPEG, r.now().UnixMilli())
		if err != nil {
			return err
		}
		return t.Audit(by, "add picture", placeObject(p.Place), id)
	})
	if err != nil {
		return fmt.Errorf("register: add picture: %w", err)
	}
	p.ID = id
	return nil
}

// Picture returns a picture with its data. The error is [qrgate.ErrNotFound] if
// there is none, or if publicly is set and not everybody may see it.
func (r *Register) Picture(ctx context.Context, id string, publicly bool) (*Picture, error) {
	var p *Picture
	query := "SELECT c.id, c.place, c.title, c.width, c.height, c.jpeg FROM pictures c WHERE c.id = ?"
	if publicly {
		query += ` AND EXISTS (SELECT 1 FROM introductions i JOIN places p ON p.no = i.place
			WHERE i.place = c.place AND i.shown = 1 AND p.deleted IS NULL)`
	}
	err := r.s.Read(ctx, func(rows *sql.Rows) error {
		p = new(Picture)
		return rows.Scan(&p.ID, &p.Place, &p.Title, &p.Width, &p.Height, &p.JPEG)
	}, query, id)
	if err == nil && p == nil {
		err = qrgate.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("register: picture: %w", err)
	}
	return p, nil
}

// NamePicture changes what a place's picture is said to show.
func (r *Register) NamePicture(ctx context.Context, by string, place uint32, id, title string) error {
	return r.changePicture(ctx, by, "name picture", place, id, func(t store.Tx) (int64, error) {
		return t.Exec("UPDATE pictures SET title = ? WHERE id = ? AND place = ?", title, id, int64(place))
	})
}

// DeletePicture removes a place's picture.
func (r *Register) DeletePicture(ctx context.Context, by string, place uint32, id string) error {
	return r.changePicture(ctx, by, "delete picture", place, id, func(t store.Tx) (int64, error) {
		return t.Exec("DELETE FROM pictures WHERE id = ? AND place = ?", id, int64(place))
	})
}

// RaisePicture changes places with the picture before it.
func (r *Register) RaisePicture(ctx context.Context, by string, place uint32, id string) error {
	return r.changePicture(ctx, by, "move picture", place, id, func(t store.Tx) (int64, error) {
		if err := t.Lock("pictures"); err != nil {
			return 0, err
		}
		type row struct {
			id string
			no int64
		}
		var before, it row
		err := t.Each(func(rows *sql.Rows) error {
			var p row
			err := rows.Scan(&p.id, &p.no)
			if it.id == "" {
				if p.id == id {
					it = p
				} else {
					before = p
				}
			}
			return err
		}, "SELECT id, no FROM pictures WHERE place = ? ORDER BY no, id", int64(place))
		if err != nil || it.id == "" || before.id == "" {
			return int64(len(it.id)), err
		}
		if _, err := t.Exec("UPDATE pictures SET no = ? WHERE id = ?", it.no, before.id); err != nil {
			return 0, err
		}
		return t.Exec("UPDATE pictures SET no = ? WHERE id = ?", before.no, id)
	})
}

func (r *Register) changePicture(ctx context.Context, by, action string, place uint32, id string, change func(store.Tx) (int64, error)) error {
	err := r.s.Write(ctx, func(t store.Tx) error {
		n, err := change(t)
		if err != nil {
			return err
		}
		if n == 0 {
			return qrgate.ErrNotFound
		}
		return t.Audit(by, action, placeObject(place), id)
	})
	if err != nil {
		return fmt.Errorf("register: %s: %w", action, err)
	}
	return nil
}

// An Introduced is a place with what it says to everybody.
type Introduced struct {
	Place        *qrgate.Place
	Introduction *Introduction // nil unless it is shown
	Pictures     int
}

// Introduced returns each place in w that is not deleted, by number. A draft is
// nobody else's matter and is left out.
func (r *Register) Introduced(ctx context.Context, w Within) ([]Introduced, error) {
	where, args := w.where()
	shown := map[uint32]Introduced{}
	err := r.s.Read(ctx, func(rows *sql.Rows) error {
		in := Introduction{Shown: true}
		var body string
		var pictures int
		if err := rows.Scan(&in.Place, &body, &in.Version, (*store.Milli)(&in.Changed), &pictures); err != nil {
			return err
		}
		shown[in.Place] = Introduced{Introduction: &in, Pictures: pictures}
		return json.Unmarshal([]byte(body), &in)
	}, `SELECT i.place, i.body, i.version, i.changed, (SELECT COUNT(*) FROM pictures c WHERE c.place = i.place)
		FROM introductions i JOIN places p ON p.no = i.place WHERE i.shown = 1 AND p.deleted IS NULL AND `+where, args...)
	var all []Introduced
	if err == nil {
		err = r.s.Read(ctx, func(rows *sql.Rows) error {
			p, err := scanPlace(rows)
			if err != nil {
				return err
			}
			one := shown[p.No]
			one.Place = p
			all = append(all, one)
			return nil
		}, "SELECT "+placeColumns+" FROM places p WHERE p.deleted IS NULL AND "+where+" ORDER BY p.no", args...)
	}
	if err != nil {
		return nil, fmt.Errorf("register: introductions: %w", err)
	}
	return all, nil
}
