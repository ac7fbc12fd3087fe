package store

import (
	"fmt"
	"time"

	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// A Passage is what a kiosk has counted of the people who passed it, as its ledger says.
type Passage struct {
	Written  *Epoch // in which it was first written
	Header   wire.Header
	Digest   wire.Digest
	When     when.Interval // its end
	Received time.Time
}

var savePassages = insertOf("passages",
	"epoch_no, seq, digest, kiosk_no, place_no, gate, lane, direction, hour, took, people, against, scans, shut, earliest, latest, received",
	"ON CONFLICT (epoch_no, seq, digest) DO NOTHING")

// Passage keeps how many people passed a kiosk, once. The hour is that in which the
// middle of what was counted lies.
func (t *Intake) Passage(p Passage) error {
	h, c := &p.Header, p.Header.Passage
	middle := p.When.Latest - c.Took/2
	hour := middle - middle%time.Hour.Milliseconds()
	_, err := t.run(savePassages, []any{
		p.Written.no, int64(h.Seq), digestInt(p.Digest), p.Written.Book.no, int64(p.Written.Book.PlaceNo), h.Gate, int64(h.Lane), int64(h.Direction),
		hour, c.Took, int64(c.People), int64(c.Against), int64(c.Scans), int64(c.Shut), p.When.Earliest, p.When.Latest, p.Received.UnixMilli(),
	}, nil)
	if err != nil {
		return fmt.Errorf("store: who passed: %w", err)
	}
	p.Written.dirty = true
	return nil
}
