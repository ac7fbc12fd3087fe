package rights

import (
	"context"
	"database/sql"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
)

// A Certificate says what was dropped of a day, as a signed file. A newer version
// says who has confirmed meanwhile.
type Certificate struct {
	Day     qrgate.Day
	Version int
	Made    time.Time
	Waiting int // copies and kiosks that may still hold something of the day
	Body    []byte
}

// SaveCertificate keeps a certificate as the next version of its day and sets its
// Version and Made.
func (r *Rights) SaveCertificate(ctx context.Context, c *Certificate) error {
	now := r.now().Truncate(time.Millisecond)
	version := 0
	err := r.s.Write(ctx, func(t store.Tx) error {
		err := t.Each(func(rows *sql.Rows) error { return rows.Scan(&version) },
			"SELECT COALESCE(MAX(version), 0) + 1 FROM certificates WHERE day = ?", int64(c.Day))
		if err != nil {
			return err
		}
		_, err = t.Exec("INSERT INTO certificates (day, version, made, waiting, body) VALUES (?, ?, ?, ?, ?)",
			int64(c.Day), version, now.UnixMilli(), c.Waiting, c.Body)
		if err != nil {
			return err
		}
		return t.Audit("", "certify day", "day "+c.Day.String(), "")
	})
	c.Version, c.Made = version, now
	return wrap("save certificate", err)
}

const certificateColumns = "day, version, made, waiting"

// Certificates returns the newest certificate of each of the newest days, the
// latest first, without their bodies.
func (r *Rights) Certificates(ctx context.Context, most int) (all []Certificate, err error) {
	err = r.s.Read(ctx, func(rows *sql.Rows) error {
		var c Certificate
		err := rows.Scan(&c.Day, &c.Version, (*store.Milli)(&c.Made), &c.Waiting)
		all = append(all, c)
		return err
	}, "SELECT "+certificateColumns+` FROM certificates c WHERE version = (SELECT MAX(version) FROM certificates o WHERE o.day = c.day)
		ORDER BY day DESC LIMIT ?`, most)
	return all, wrap("certificates", err)
}

// Certificate returns the newest certificate of a day, or qrgate.ErrNotFound.
func (r *Rights) Certificate(ctx context.Context, day qrgate.Day) (c *Certificate, err error) {
	err = r.s.Read(ctx, func(rows *sql.Rows) error {
		c = new(Certificate)
		return rows.Scan(&c.Day, &c.Version, (*store.Milli)(&c.Made), &c.Waiting, &c.Body)
	}, "SELECT "+certificateColumns+", body FROM certificates WHERE day = ? ORDER BY version DESC LIMIT 1", int64(day))
	if err == nil && c == nil {
		err = qrgate.ErrNotFound
	}
	return c, wrap("certificate", err)
}
