package register

import (
	"context"
	"database/sql"
	"encoding/base32"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
)

// A Category is what a difficulty is about.
type Category string

// Categories returns every category, in the order in which people are shown them.
func Categories() []Category {
	return []Category{"sign_in", "print", "scanner", "card", "wrong_data", "other"}
}

// A DifficultyState is how far a difficulty has come.
type DifficultyState string

// The states of difficulties.
const (
	DifficultyOpen     DifficultyState = "open"
	DifficultyAnswered DifficultyState = "answered"
	DifficultyClosed   DifficultyState = "closed"
)

// DifficultyStates returns every state, in the order of a difficulty's life.
func DifficultyStates() []DifficultyState {
	return []DifficultyState{DifficultyOpen, DifficultyAnswered, DifficultyClosed}
}

// A Difficulty is what somebody could not do, and what was answered.
type Difficulty struct {
	ID         string
	At         time.Time
	Account    string // who sent it, empty if nobody had signed in
	Page       string // path of the page that it was sent from
	Category   Category
	Place      uint32 // 0 if it is about none
	PlaceName  string // as it is now
	Sector     string // to whom it is routed: of the place, until it is passed on
	Area       string // of today, of the place
	Text       string
	Contact    string // empty once it is closed: it was kept for the answer
	State      DifficultyState
	Answer     string
	AnsweredBy string // id of the account that did something last
	Answered   time.Time
}

const difficultyColumns = `d.id, d.at, d.account, d.page, d.category, COALESCE(d.place, 0), COALESCE(p.name, ''), d.sector, d.area, d.text, d.contact,
	d.state, d.answer, d.answered_by, d.answered`

const difficultyTables = " FROM difficulties d LEFT JOIN places p ON p.no = d.place WHERE "

func scanDifficulty(rows *sql.Rows) (d Difficulty, err error) {
	err = rows.Scan(&d.ID, (*store.Milli)(&d.At), &d.Account, &d.Page, &d.Category, &d.Place, &d.PlaceName, &d.Sector, &d.Area, &d.Text, &d.Contact,
		&d.State, &d.Answer, &d.AnsweredBy, (*store.Milli)(&d.Answered))
	return d, err
}

// AddDifficulty keeps a difficulty, routed by its place, and sets its id, time
// and state in d. A sum that is not nil is that of a link by which its sender
// finds it again: see [Register.DifficultyBySum].
func (r *Register) AddDifficulty(ctx context.Context, d *Difficulty, sum []byte) error {
	id, now := store.NewID(), r.now()
	if sum != nil {
		id = difficultyID(sum)
	}
	d.Sector, d.Area = "", ""
	var place any
	if d.Place != 0 {
		p, err := r.Place(ctx, d.Place)
		if err != nil {
			return fmt.Errorf("register: add difficulty: %w", err)
		}
		d.Sector, d.Area, place = p.Sector, p.AreaNow, int64(p.No)
	}
	err := r.s.Write(ctx, func(t store.Tx) error {
		_, err := t.Exec(`INSERT INTO difficulties (id, at, account, page, category, place, sector, area, text, contact, state, answer, answered_by)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '', '')`,
			id, now.UnixMilli(), d.Account, d.Page, string(d.Category), place, d.Sector, d.Area, d.Text, d.Contact, string(DifficultyOpen))
		if err != nil {
			return err
		}
		return t.Audit(d.Account, "report difficulty", difficultyObject(id), string(d.Category))
	})
	if err != nil {
		return fmt.Errorf("register: add difficulty: %w", err)
	}
	d.ID, d.At, d.State = id, now.Truncate(time.Millisecond), DifficultyOpen
	return nil
}

// difficultyID returns the id of the difficulty whose sender holds the link with
// this sum. Audit rows and officers' pages say the id, so it must not lead back
// to the link.
func difficultyID(sum []byte) string {
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:min(len(sum), 16)]))
}

func difficultyObject(id string) string { return "difficulty " + id }

// Difficulty returns the difficulty with this id.
func (r *Register) Difficulty(ctx context.Context, id string) (*Difficulty, error) {
	all, err := r.difficulties(ctx, "d.id = ?", id)
	if err == nil && len(all) == 0 {
		err = qrgate.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("register: difficulty: %w", err)
	}
	return &all[0], nil
}

// DifficultyBySum returns the difficulty that was added with the sum of a link.
func (r *Register) DifficultyBySum(ctx context.Context, sum []byte) (*Difficulty, error) {
	return r.Difficulty(ctx, difficultyID(sum))
}

// DifficultiesOf returns the latest difficulties that an account has sent.
func (r *Register) DifficultiesOf(ctx context.Context, account string, most int) ([]Difficulty, error) {
	all, err := r.difficulties(ctx, "d.account = ? ORDER BY d.at DESC, d.id LIMIT ?", account, most)
	if err != nil {
		return nil, fmt.Errorf("register: difficulties: %w", err)
	}
	return all, nil
}

func (r *Register) difficulties(ctx context.Context, where string, args ...any) ([]Difficulty, error) {
	var all []Difficulty
	err := r.s.Read(ctx, func(rows *sql.Rows) error {
		d, err := scanDifficulty(rows)
		all = append(all, d)
		return err
	}, "SELECT "+difficultyColumns+difficultyTables+where, args...)
	return all, err
}

// A DifficultyQuery says which difficulties to find. The zero Within finds none,
// the other fields' zero values ask for nothing.
type DifficultyQuery struct {
	Within   Within
	State    DifficultyState
	Category Category
	From, To time.Time // first moment, and the moment after the last
	Page     int       // from 0
	Size     int       // difficulties a page; 0 for all
}

func (q DifficultyQuery) where() (string, []any) {
	where, args := q.Within.ofDifficulties()
	add := func(term string, value any) { where, args = where+" AND "+term, append(args, value) }
	if q.State != "" {
		add("d.state = ?", string(q.State))
	}
	if q.Category != "" {
		add("d.category = ?", string(q.Category))
	}
	if !q.From.IsZero() {
		add("d.at >= ?", q.From.UnixMilli())
	}
	if !q.To.IsZero() {
		add("d.at < ?", q.To.UnixMilli())
	}
	return where, args
}

// ofDifficulties returns the condition on difficulties, as d: those routed to the
// sectors or areas, and those about the organisations' places. One about no
// place is found within all alone until it is passed on.
func (w Within) ofDifficulties() (string, []any) {
	if w.All {
		return "1 = 1", nil
	}
	sectors, args := isIn("d.sector", w.Sectors)
	areas, more := isIn("d.area", w.Areas)
	args = append(args, more...)
	places, more := isIn("o.organisation", w.Organisations)
	args = append(args, more...)
	return "(" + sectors + " OR " + areas + " OR d.place IN (SELECT o.no FROM places o WHERE " + places + "))", args
}

// Holds reports whether a difficulty is one that a [DifficultyQuery] within w may
// find by its sector or area.
func (w Within) Holds(d *Difficulty) bool {
	return w.All || d.Sector != "" && slices.Contains(w.Sectors, d.Sector) || d.Area != "" && slices.Contains(w.Areas, d.Area)
}

// Difficulties returns one page of the difficulties that a query asks for, the
// latest first, and how many there are in all.
func (r *Register) Difficulties(ctx context.Context, q DifficultyQuery) (page []Difficulty, total int, err error) {
	where, args := q.where()
	err = r.s.Read(ctx, func(rows *sql.Rows) error { return rows.Scan(&total) }, "SELECT COUNT(*) FROM difficulties d WHERE "+where, args...)
	if err == nil && total > 0 {
		where += " ORDER BY d.at DESC, d.id"
		if q.Size > 0 {
			where, args = where+" LIMIT ? OFFSET ?", append(args, q.Size, max(0, q.Page)*q.Size)
		}
		page, err = r.difficulties(ctx, where, args...)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("register: difficulties: %w", err)
	}
	return page, total, nil
}

// A DifficultyCount is how many difficulties of one category are in one state.
type DifficultyCount struct {
	Category Category
	State    DifficultyState
	Count    int
}

// CountDifficulties returns how many difficulties were sent from one moment until
// before another, by category and state; a zero time is no bound. Those that
// there are none of are left out.
func (r *Register) CountDifficulties(ctx context.Context, within Within, from, to time.Time) ([]DifficultyCount, error) {
	where, args := DifficultyQuery{Within: within, From: from, To: to}.where()
	var all []DifficultyCount
	err := r.s.Read(ctx, func(rows *sql.Rows) error {
		var c DifficultyCount
		err := rows.Scan(&c.Category, &c.State, &c.Count)
		all = append(all, c)
		return err
	}, "SELECT d.category, d.state, COUNT(*) FROM difficulties d WHERE "+where+" GROUP BY d.category, d.state ORDER BY d.category, d.state", args...)
	if err != nil {
		return nil, fmt.Errorf("register: count difficulties: %w", err)
	}
	return all, nil
}

// AnswerDifficulty writes an answer, in place of an earlier one. seen is the
// difficulty as it was read: if somebody has done something with it meanwhile,
// or it is closed, the error is [qrgate.ErrConflict].
func (r *Register) AnswerDifficulty(ctx context.Context, by string, seen *Difficulty, answer string) error {
	return r.handle(ctx, by, "answer difficulty", "", seen, "state = ?, answer = ?", string(DifficultyAnswered), answer)
}

// CloseDifficulty ends a difficulty and forgets how to reach its sender. The
// errors are those of [Register.AnswerDifficulty].
func (r *Register) CloseDifficulty(ctx context.Context, by string, seen *Difficulty) error {
	return r.handle(ctx, by, "close difficulty", "", seen, "state = ?, contact = ''", string(DifficultyClosed))
}

// PassDifficulty routes a difficulty to another sector. The errors are those of
// [Register.AnswerDifficulty], and [qrgate.ErrInvalid] if there is no such sector.
func (r *Register) PassDifficulty(ctx context.Context, by string, seen *Difficulty, sector string) error {
	if _, err := qrgate.FindSector(sector); err != nil {
		return fmt.Errorf("register: pass difficulty: %w: %w", qrgate.ErrInvalid, err)
	}
	return r.handle(ctx, by, "pass difficulty", sector, seen, "sector = ?", sector)
}

func (r *Register) handle(ctx context.Context, by, action, note string, seen *Difficulty, set string, args ...any) error {
	err := r.s.Write(ctx, func(t store.Tx) error {
		answered := int64(0)
		if !seen.Answered.IsZero() {
			answered = seen.Answered.UnixMilli()
		}
		args := append(slices.Clone(args), by, r.now().UnixMilli(), seen.ID, string(seen.State), seen.Sector, answered, string(DifficultyClosed))
		n, err := t.Exec("UPDATE difficulties SET "+set+", answered_by = ?, answered = ? WHERE id = ? AND state = ? AND sector = ? AND COALESCE(answered, 0) = ? AND state <> ?", args...)
		if err == nil && n == 0 {
			err = qrgate.ErrConflict
		}
		if err != nil {
			return err
		}
		return t.Audit(by, action, difficultyObject(seen.ID), note)
	})
	if err != nil {
		return fmt.Errorf("register: %s: %w", action, err)
	}
	return nil
}
