package progress

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/report"
	"github.com/qrgate/qrgate/server/store"
)

// A Report is a draft, or one that was issued.
type Report struct {
	ID           string
	Sector, Area string // that it is about, each empty for all
	Body
	Version   int
	MadeBy    string
	Made      time.Time
	ChangedBy string
	Changer   string // as they are called, empty if the account is gone
	Changed   time.Time
	Issued    time.Time // zero of a draft
}

// A Body is what somebody writes of a report, and what was counted when it was
// issued.
type Body struct {
	Title        string           `json:"title"`
	From         qrgate.Day       `json:"from"`
	To           qrgate.Day       `json:"to"`
	Lang         string           `json:"lang"`
	Superior     string           `json:"superior"`
	Agency       string           `json:"agency"`
	Number       string           `json:"number"`
	Town         string           `json:"town"`
	Recipients   string           `json:"recipients"` // one a line
	SignedAs     string           `json:"signed_as"`
	Signed       string           `json:"signed"`
	Intro        string           `json:"intro"`
	Difficulties string           `json:"difficulties"`
	Proposals    string           `json:"proposals"`
	Frozen       *report.Document `json:"frozen,omitempty"`
}

func reportObject(id string) string { return "report " + id }

// SaveReport keeps a report as its next version and sets its id, version and
// times; without an id it is a new one. If somebody has saved a version after the
// one that r says, or issued it, the error is [qrgate.ErrConflict]. A body with
// Frozen issues the report.
func (p *Progress) SaveReport(ctx context.Context, by string, r *Report) error {
	body, err := json.Marshal(r.Body)
	if err != nil {
		return fmt.Errorf("progress: save report: %w", err)
	}
	id, version, now := r.ID, r.Version+1, p.now()
	var issued any
	action := "save report"
	if r.Frozen != nil {
		issued, action = now.UnixMilli(), "issue report"
	}
	err = p.s.Write(ctx, func(t store.Tx) error {
		var err error
		if r.ID == "" {
			if id == "" {
				id = store.NewID()
			}
			version = 1
			_, err = t.Exec("INSERT INTO reports (id, sector, area, title, version, made_by, made, changed_by, changed, issued) VALUES (?, ?, ?, ?, 1, ?, ?, ?, ?, ?)",
				id, r.Sector, r.Area, r.Title, by, now.UnixMilli(), by, now.UnixMilli(), issued)
		} else {
			var n int64
			n, err = t.Exec("UPDATE reports SET title = ?, version = version + 1, changed_by = ?, changed = ?, issued = ? WHERE id = ? AND version = ? AND issued IS NULL",
				r.Title, by, now.UnixMilli(), issued, id, r.Version)
			if err == nil && n == 0 {
				err = qrgate.ErrConflict
			}
		}
		if err != nil {
			return err
		}
		if _, err := t.Exec("INSERT INTO report_versions (report, version, body, made_by, made) VALUES (?, ?, ?, ?, ?)", id, version, string(body), by, now.UnixMilli()); err != nil {
			return err
		}
		return t.Audit(by, action, reportObject(id), fmt.Sprintf("version %d", version))
	})
	if err != nil {
		return fmt.Errorf("progress: %s: %w", action, err)
	}
	at := now.Truncate(time.Millisecond)
	if r.ID == "" {
		r.MadeBy, r.Made = by, at
	}
	r.ID, r.Version, r.ChangedBy, r.Changed = id, version, by, at
	if r.Frozen != nil {
		r.Issued = at
	}
	return nil
}

const reportColumns = "r.id, r.sector, r.area, r.title, r.version, r.made_by, r.made, r.changed_by, COALESCE(a.display, ''), r.changed, r.issued"

func scanReport(rows *sql.Rows, more ...any) (r Report, err error) {
	err = rows.Scan(append([]any{&r.ID, &r.Sector, &r.Area, &r.Title, &r.Version, &r.MadeBy, (*store.Milli)(&r.Made), &r.ChangedBy, &r.Changer, (*store.Milli)(&r.Changed), (*store.Milli)(&r.Issued)}, more...)...)
	return r, err
}

// Reports returns every report without its body but for the title, the one that
// was changed last first.
func (p *Progress) Reports(ctx context.Context) (all []Report, err error) {
	err = p.s.Read(ctx, func(rows *sql.Rows) error {
		r, err := scanReport(rows)
		all = append(all, r)
		return err
	}, "SELECT "+reportColumns+" FROM reports r LEFT JOIN accounts a ON a.id = r.changed_by ORDER BY r.changed DESC, r.id")
	if err != nil {
		return nil, fmt.Errorf("progress: reports: %w", err)
	}
	return all, nil
}

// Report returns a report as it is, or as it was in an earlier version: then
// Version, Changed and ChangedBy are those of that one.
func (p *Progress) Report(ctx context.Context, id string, version int) (*Report, error) {
	var found *Report
	err := p.s.Read(ctx, func(rows *sql.Rows) error {
		var body string
		var v Report
		r, err := scanReport(rows, &body, &v.Version, &v.ChangedBy, (*store.Milli)(&v.Changed), &v.Changer)
		if err != nil {
			return err
		}
		r.Version, r.ChangedBy, r.Changed, r.Changer = v.Version, v.ChangedBy, v.Changed, v.Changer
		found = &r
		return json.Unmarshal([]byte(body), &r.Body)
	}, "SELECT "+reportColumns+`, v.body, v.version, v.made_by, v.made, COALESCE(b.display, '') FROM reports r LEFT JOIN accounts a ON a.id = r.changed_by
		JOIN report_versions v ON v.report = r.id AND (v.version = ? OR ? = 0 AND v.version = r.version) LEFT JOIN accounts b ON b.id = v.made_by WHERE r.id = ?`, version, version, id)
	if err == nil && found == nil {
		err = qrgate.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("progress: report: %w", err)
	}
	return found, nil
}

// A Version is one of a report.
type Version struct {
	No     int
	MadeBy string // as they are called, empty if the account is gone
	Made   time.Time
}

// Versions returns the versions of a report, the latest first.
func (p *Progress) Versions(ctx context.Context, id string) (all []Version, err error) {
	err = p.s.Read(ctx, func(rows *sql.Rows) error {
		var v Version
		err := rows.Scan(&v.No, &v.MadeBy, (*store.Milli)(&v.Made))
		all = append(all, v)
		return err
	}, "SELECT v.version, COALESCE(a.display, ''), v.made FROM report_versions v LEFT JOIN accounts a ON a.id = v.made_by WHERE v.report = ? ORDER BY v.version DESC", id)
	if err != nil {
		return nil, fmt.Errorf("progress: versions: %w", err)
	}
	return all, nil
}
