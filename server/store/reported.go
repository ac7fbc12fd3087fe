package store

import (
	"crypto/sha256"
	"database/sql"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// A Reported is a difficulty that a guard has reported at a kiosk.
type Reported struct {
	Written    *Epoch // in which it was first written
	Seq        uint64
	Difficulty wire.Difficulty
	When       when.Interval
	Received   time.Time
}

// reportedID returns the id of a difficulty, the same however often it comes.
func (r Reported) reportedID() string {
	b := append([]byte("qrgate difficulty\x00"), r.Written.Book.Kiosk...)
	b = append(append(b, 0), r.Written.ID[:]...)
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(b, r.Seq))
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:16]))
}

// Report keeps a difficulty, once, with those that are reported in the portal: routed by
// the kiosk's place to whoever answers for it.
func (t *Intake) Report(r Reported) error {
	book := r.Written.Book
	var place any
	sector, area := "", ""
	if book.PlaceNo != 0 {
		place = int64(book.PlaceNo)
		err := t.each(func(rows *sql.Rows) error { return rows.Scan(&sector, &area) }, "SELECT sector, area_now FROM places WHERE no = ?", place)
		if err != nil {
			return fmt.Errorf("store: place of a difficulty: %w", err)
		}
	}
	id := r.reportedID()
	n, err := t.exec(`INSERT INTO difficulties (id, at, account, page, category, place, sector, area, text, contact, state, answer, answered_by)
		VALUES (?, ?, '', ?, ?, ?, ?, ?, ?, ?, 'open', '', '') ON CONFLICT (id) DO NOTHING`,
		id, r.When.Latest, book.Kiosk, r.Difficulty.Category, place, sector, area, r.Difficulty.Text, r.Difficulty.Contact)
	if err == nil && n > 0 {
		err = t.auditBy("", "report difficulty", "difficulty "+id, r.Difficulty.Category+", "+book.Kiosk)
	}
	if err != nil {
		return fmt.Errorf("store: difficulty: %w", err)
	}
	r.Written.dirty = true
	return nil
}
