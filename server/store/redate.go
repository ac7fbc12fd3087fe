package store

import (
	"context"
	"database/sql"
	"fmt"
	"math"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/when"
)

// Steps of dating again. A transaction follows up so many boots of a kiosk, reads so many
// rows and changes so many, so that an intake never waits long for it.
const (
	redateBoots  = 64
	redateRead   = 2000
	redateChange = 500
)

// Those after (seq, digest) up to last are still to be dated. The digest tells
// apart the histories of a forked epoch.
var noteDates = bulkOf("INSERT INTO redates (epoch_no, boot_no, seq, digest, last, arrived) VALUES ",
	fmt.Sprintf("(?, ?, ? - 1, %d, ?, ?)", math.MaxInt64),
	" ON CONFLICT (epoch_no, boot_no) DO UPDATE SET seq = excluded.seq, digest = excluded.digest, last = excluded.last, arrived = excluded.arrived")

var redateRows = bulkOf("UPDATE checkins SET earliest = v.column4, latest = v.column5 FROM (VALUES ",
	"(CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS BIGINT))",
	") AS v WHERE checkins.epoch_no = v.column1 AND checkins.seq = v.column2 AND checkins.digest = v.column3")

const nextToDate = `SELECT seq, digest, day, boot_no, since, earliest, latest, received FROM checkins
	WHERE epoch_no = ? AND (seq, digest) > (?, ?) AND seq <= ? ORDER BY seq, digest LIMIT ?`

// Tidy does a little of what nobody waits for, and reports whether there is more
// to do. It files check-ins where they are found quickly, and dates those again
// for which an anchor has arrived; their day stays what it was. Those of a kiosk
// that is revoked keep the wider bounds that they have. Kiosks take turns, so that one
// with anchors without end holds up no other. A server calls it every second or so.
func (s *Store) Tidy(ctx context.Context) (more bool, err error) {
	var kiosk string
	var no, arrived int64
	var state qrgate.KioskState
	for _, from := range []int64{(s.dating.Load() + 1) * epochsPerKiosk, 0} {
		err = s.each(ctx, func(r *sql.Rows) error { return r.Scan(&kiosk, &no, &state, &arrived) }, `SELECT k.id, k.no, k.state, d.arrived
			FROM redates d JOIN epochs e ON e.no = d.epoch_no JOIN kiosks k ON k.no = e.kiosk_no WHERE d.epoch_no >= ? ORDER BY d.epoch_no LIMIT 1`, from)
		if err != nil {
			return false, fmt.Errorf("store: tidy: %w", err)
		}
		if kiosk != "" {
			break
		}
	}
	if kiosk != "" && state != qrgate.KioskActive {
		err = s.write(ctx, func(t *tx) error {
			_, err := t.exec("DELETE FROM redates WHERE epoch_no IN (SELECT no FROM epochs WHERE kiosk_no = ?)", no)
			return err
		})
		return err == nil, wrap("store: tidy", err)
	}
	// What is not filed cannot be changed.
	if more, err = s.file(ctx, arrived); more || err != nil {
		return more, wrap("store: file", err)
	}
	if kiosk == "" {
		return false, nil
	}
	s.dating.Store(no)
	err = s.Intake(ctx, []string{kiosk}, func(t *Intake) error { return t.redate(t.Book(kiosk)) })
	return err == nil, wrap("store: date again", err)
}

func wrap(step string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", step, err)
}

// redate takes one step at the boots of a kiosk.
func (t *Intake) redate(b *Book) error {
	read, change := redateRead, redateChange
	for range redateBoots {
		if ended, err := t.redateBoot(b, &read, &change); err != nil || !ended {
			return err
		}
	}
	return nil
}

// redateBoot dates again what is left of the next boot of a kiosk, and takes off read and
// change what it read and changed. It reports whether it came to the boot's end.
func (t *Intake) redateBoot(b *Book, read, change *int) (ended bool, err error) {
	var epochNo, bootNo, seq, digest, last int64
	err = t.each(func(r *sql.Rows) error { return r.Scan(&epochNo, &bootNo, &seq, &digest, &last) },
		`SELECT d.epoch_no, d.boot_no, d.seq, d.digest, d.last FROM redates d JOIN epochs e ON e.no = d.epoch_no
		WHERE e.kiosk_no = ? ORDER BY d.epoch_no, d.boot_no LIMIT 1`, b.no)
	if err != nil || epochNo == 0 {
		return false, err
	}
	epoch, boot, err := b.boot(epochNo, bootNo)
	if err != nil {
		return false, err
	}
	var strayed bool
	var changed []any
	err = t.each(func(r *sql.Rows) error {
		if *change == 0 {
			return nil
		}
		var day qrgate.Day
		var of, since, received int64
		var was when.Interval
		if err := r.Scan(&seq, &digest, &day, &of, &since, &was.Earliest, &was.Latest, &received); err != nil {
			return err
		}
		*read--
		if of != bootNo {
			return nil
		}
		if in := Clamp(epoch.Bounds(boot, since), received); in != was {
			*change--
			changed = append(changed, epochNo, seq, digest, in.Earliest, in.Latest)
			strayed = strayed || qrgate.DayOfMilli(in.Latest) > day+strayDays
		}
		return nil
	}, nextToDate, epochNo, seq, digest, last, *read)
	if err != nil {
		return false, err
	}
	if _, err := t.run(redateRows, changed, nil); err != nil {
		return false, err
	}
	if strayed {
		if _, err := t.exec("UPDATE epochs SET strayed = 1 WHERE no = ?", epochNo); err != nil {
			return false, err
		}
	}
	if *read == 0 || *change == 0 {
		_, err = t.exec("UPDATE redates SET seq = ?, digest = ? WHERE epoch_no = ? AND boot_no = ?", seq, digest, epochNo, bootNo)
		return false, err
	}
	_, err = t.exec("DELETE FROM redates WHERE epoch_no = ? AND boot_no = ?", epochNo, bootNo)
	return true, err
}

// boot returns the boot with the given numbers.
func (b *Book) boot(epochNo, bootNo int64) (*Epoch, when.Boot, error) {
	for _, e := range b.epochs {
		if e.no != epochNo {
			continue
		}
		for boot, no := range e.numbers {
			if no == bootNo {
				return e, boot, nil
			}
		}
	}
	return nil, when.Boot{}, fmt.Errorf("kiosk %q has no boot %d in epoch %d", b.Kiosk, bootNo, epochNo)
}
