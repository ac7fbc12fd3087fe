package register

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
)

// A Poster is one version of a place's poster: what it says was settled when it
// was made, so that it is the same however often it is printed.
type Poster struct {
	Place    uint32
	Version  int
	Template int // version of the template
	Name     string
	Address  string
	MadeBy   string
	Made     time.Time
	Printed  time.Time // when it was first fetched to be printed; zero if it never was
	Formats  []string  // in which it was fetched: "a4.pdf"
}

const posterColumns = "o.place, o.version, o.template, o.name, o.address, o.made_by, o.made, o.printed, o.formats"

func (p *Poster) scan(rows *sql.Rows) error {
	var formats string
	err := rows.Scan(&p.Place, &p.Version, &p.Template, &p.Name, &p.Address, &p.MadeBy, (*store.Milli)(&p.Made), (*store.Milli)(&p.Printed), &formats)
	p.Formats = strings.Fields(formats)
	return err
}

// Posters returns the versions of a place's poster, the latest first.
func (r *Register) Posters(ctx context.Context, no uint32) ([]Poster, error) {
	var all []Poster
	err := r.s.Read(ctx, func(rows *sql.Rows) error {
		all = append(all, Poster{})
		return all[len(all)-1].scan(rows)
	}, "SELECT "+posterColumns+" FROM posters o WHERE o.place = ? ORDER BY o.version DESC", int64(no))
	if err != nil {
		return nil, fmt.Errorf("register: posters of place %d: %w", no, err)
	}
	return all, nil
}

// MakePosters makes of each place's poster the next version after its Version,
// which it raises: all or none. The error is [qrgate.ErrConflict] if there is such
// a version already, [qrgate.ErrNotFound] if there is no such place any more, and
// [ErrFull] if no version is left: its number is one byte of the code.
func (r *Register) MakePosters(ctx context.Context, by string, posters ...*Poster) error {
	now := r.now()
	err := r.s.Write(ctx, func(t store.Tx) error {
		for _, p := range posters {
			if err := makePoster(t, by, p, now); err != nil {
				return fmt.Errorf("place %d: %w", p.Place, err)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("register: make posters: %w", err)
	}
	for _, p := range posters {
		p.Version, p.MadeBy, p.Made, p.Printed, p.Formats = p.Version+1, by, now.Truncate(time.Millisecond), time.Time{}, nil
	}
	return nil
}

func makePoster(t store.Tx, by string, p *Poster, now time.Time) error {
	next := p.Version + 1
	if next > math.MaxUint8 {
		return ErrFull
	}
	latest, deleted := -1, sql.NullInt64{}
	err := t.Each(func(rows *sql.Rows) error { return rows.Scan(&latest, &deleted) }, "SELECT poster, deleted FROM places WHERE no = ?", int64(p.Place))
	switch {
	case err != nil:
		return err
	case latest < 0 || deleted.Valid:
		return qrgate.ErrNotFound
	case latest != p.Version:
		return qrgate.ErrConflict
	}
	_, err = t.Exec("INSERT INTO posters (place, version, template, name, address, made_by, made, printed, formats) VALUES (?, ?, ?, ?, ?, ?, ?, NULL, '')",
		int64(p.Place), next, p.Template, p.Name, p.Address, by, now.UnixMilli())
	if err != nil {
		return err
	}
	if _, err := t.Exec("UPDATE places SET poster = ? WHERE no = ?", next, int64(p.Place)); err != nil {
		return err
	}
	return t.Audit(by, "make poster", placeObject(p.Place), fmt.Sprintf("version %d, template %d", next, p.Template))
}

// PrintedPosters notes that posters were fetched in a format to be printed. It
// writes only what is new.
func (r *Register) PrintedPosters(ctx context.Context, by, format string, posters ...*Poster) error {
	var news []*Poster
	for _, p := range posters {
		if !slices.Contains(p.Formats, format) {
			news = append(news, p)
		}
	}
	if news == nil {
		return nil
	}
	err := r.s.Write(ctx, func(t store.Tx) error {
		for _, p := range news {
			var is Poster
			err := t.Each(is.scan, "SELECT "+posterColumns+" FROM posters o WHERE o.place = ? AND o.version = ?", int64(p.Place), p.Version)
			switch {
			case err != nil:
				return err
			case is.Version == 0:
				return qrgate.ErrNotFound
			case slices.Contains(is.Formats, format):
				continue
			}
			_, err = t.Exec("UPDATE posters SET printed = COALESCE(printed, ?), formats = ? WHERE place = ? AND version = ?",
				r.now().UnixMilli(), strings.Join(append(is.Formats, format), " "), int64(p.Place), p.Version)
			if err != nil {
				return err
			}
			if err := t.Audit(by, "print poster", placeObject(p.Place), fmt.Sprintf("version %d as %s", p.Version, format)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("register: posters printed: %w", err)
	}
	return nil
}

// A Postered is a place and its latest poster.
type Postered struct {
	Place  *qrgate.Place
	Poster *Poster // nil if none was made
}

// Postered returns the places in w that are not deleted, by number, limit of them
// after the first skip, and how many there are in all.
func (r *Register) Postered(ctx context.Context, w Within, skip, limit int) (all []Postered, total int, err error) {
	where, args := w.where()
	where = " WHERE p.deleted IS NULL AND " + where
	err = r.s.Read(ctx, func(rows *sql.Rows) error { return rows.Scan(&total) }, "SELECT COUNT(*) FROM places p"+where, args...)
	if err == nil {
		all, err = r.postered(ctx, where+" ORDER BY p.no LIMIT ? OFFSET ?", append(args, limit, skip)...)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("register: posters: %w", err)
	}
	return all, total, nil
}

// PosteredAmong returns those of the places with these numbers that are in w and
// not deleted.
func (r *Register) PosteredAmong(ctx context.Context, w Within, numbers []uint32) ([]Postered, error) {
	if len(numbers) == 0 {
		return nil, nil
	}
	where, args := w.where()
	for _, no := range numbers {
		args = append(args, int64(no))
	}
	all, err := r.postered(ctx, " WHERE p.deleted IS NULL AND "+where+" AND p.no IN (?"+strings.Repeat(", ?", len(numbers)-1)+") ORDER BY p.no", args...)
	if err != nil {
		return nil, fmt.Errorf("register: posters: %w", err)
	}
	return all, nil
}

// ToReprint returns the places in w whose latest poster follows a template older
// than version.
func (r *Register) ToReprint(ctx context.Context, w Within, version int) ([]Postered, error) {
	where, args := w.where()
	all, err := r.postered(ctx, " JOIN posters o ON o.place = p.no AND o.version = p.poster WHERE p.deleted IS NULL AND "+where+
		" AND o.template < ? ORDER BY p.no", append(args, version)...)
	if err != nil {
		return nil, fmt.Errorf("register: posters to print again: %w", err)
	}
	return all, nil
}

// postered returns the places that the rest of a query selects.
func (r *Register) postered(ctx context.Context, rest string, args ...any) ([]Postered, error) {
	var all []Postered
	err := r.s.Read(ctx, func(rows *sql.Rows) error {
		p, err := scanPlace(rows)
		all = append(all, Postered{Place: p})
		return err
	}, "SELECT "+placeColumns+" FROM places p"+rest, args...)
	if err != nil {
		return nil, err
	}
	at := map[uint32]int{}
	for i, p := range all {
		at[p.Place.No] = i
	}
	const most = 500 // numbers in one statement
	for from := 0; from < len(all); from += most {
		part := all[from:min(from+most, len(all))]
		numbers := make([]any, len(part))
		for i, p := range part {
			numbers[i] = int64(p.Place.No)
		}
		err := r.s.Read(ctx, func(rows *sql.Rows) error {
			p := new(Poster)
			err := p.scan(rows)
			if i, ok := at[p.Place]; ok && all[i].Place.Poster == p.Version {
				all[i].Poster = p
			}
			return err
		}, "SELECT "+posterColumns+" FROM posters o JOIN places p ON p.no = o.place AND p.poster = o.version WHERE o.place IN (?"+strings.Repeat(", ?", len(part)-1)+")", numbers...)
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// A Template is what the steering committee has on every poster.
type Template struct {
	Version    int         `json:"-"` // 0 is the one that is built in
	Heading    []Bilingual // who calls for it
	Sentences  []Bilingual // that every poster says
	Controller string      // who answers for the data; empty if the server's settings say it
	Notice     Bilingual   // of rights, beyond what the law asks for
	Emblem     []byte      `json:"-"` // PNG, nil without one
	Must       bool        `json:"-"` // posters of older templates are to be printed again
	Note       string      `json:"-"` // why it was changed
	MadeBy     string      `json:"-"`
	Made       time.Time   `json:"-"`
}

// A Bilingual is a text in Vietnamese and English.
type Bilingual struct{ VI, EN string }

const templateColumns = "version, body, must, note, made_by, made"

func (p *Template) scan(rows *sql.Rows, more ...any) error {
	var body string
	if err := rows.Scan(append([]any{&p.Version, &body, (*flag)(&p.Must), &p.Note, &p.MadeBy, (*store.Milli)(&p.Made)}, more...)...); err != nil {
		return err
	}
	return json.Unmarshal([]byte(body), p)
}

// Templates returns the templates without their emblems, the latest first. The
// one that is built in is not among them.
func (r *Register) Templates(ctx context.Context) ([]Template, error) {
	var all []Template
	err := r.s.Read(ctx, func(rows *sql.Rows) error {
		all = append(all, Template{})
		return all[len(all)-1].scan(rows)
	}, "SELECT "+templateColumns+" FROM templates ORDER BY version DESC")
	if err != nil {
		return nil, fmt.Errorf("register: templates: %w", err)
	}
	return all, nil
}

// Template returns one version of the template. The error is
// [qrgate.ErrNotFound] for version 0 too.
func (r *Register) Template(ctx context.Context, version int) (*Template, error) {
	var p *Template
	err := r.s.Read(ctx, func(rows *sql.Rows) error {
		p = new(Template)
		return p.scan(rows, &p.Emblem)
	}, "SELECT "+templateColumns+", emblem FROM templates WHERE version = ?", version)
	if err == nil && p == nil {
		err = qrgate.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("register: template %d: %w", version, err)
	}
	return p, nil
}

// AddTemplate makes p the next version after p.Version, which it raises. The
// error is [qrgate.ErrConflict] if there is such a version already.
func (r *Register) AddTemplate(ctx context.Context, by string, p *Template) error {
	next, now := p.Version+1, r.now()
	err := r.s.Write(ctx, func(t store.Tx) error {
		if err := t.Lock("templates"); err != nil {
			return err
		}
		latest := 0
		err := t.Each(func(rows *sql.Rows) error { return rows.Scan(&latest) }, "SELECT COALESCE(MAX(version), 0) FROM templates")
		if err != nil {
			return err
		}
		if latest != p.Version {
			return qrgate.ErrConflict
		}
		_, err = t.Exec("INSERT INTO templates (version, body, emblem, must, note, made_by, made) VALUES (?, ?, ?, ?, ?, ?, ?)",
			next, jsonOf(p), p.Emblem, toFlag(p.Must), p.Note, by, now.UnixMilli())
		if err != nil {
			return err
		}
		return t.Audit(by, "set template", fmt.Sprintf("template %d", next), "")
	})
	if err != nil {
		return fmt.Errorf("register: add template: %w", err)
	}
	p.Version, p.MadeBy, p.Made = next, by, now.Truncate(time.Millisecond)
	return nil
}
