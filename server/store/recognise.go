package store

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/qrgate/qrgate/server/qrgate"
)

var storedSubjects = func() *bulk {
	b := bulkOf("SELECT c.epoch_no, c.seq, c.digest, c.day, c.subject FROM (VALUES ", "(CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS BIGINT))",
		") AS v JOIN checkins c ON c.epoch_no = v.column1 AND c.seq = v.column2 AND c.digest = v.column3 WHERE c.subject IS NOT NULL")
	b.fill = true
	return b
}()

// A filed is the subject of a check-in that is stored and filed.
type filed struct {
	rowKey
	day     qrgate.Day
	subject qrgate.Subject
}

// Recognise calls fn with the day and the subject of those of the rows that are filed
// already and hold somebody, and stores what it returns. It is for a day whose key was
// lost: who came is known to the kiosk, as long as it holds the record.
func (t *Intake) Recognise(rows []Row, fn func(i int, day qrgate.Day, was qrgate.Subject) qrgate.Subject) error {
	var keys []any
	of := map[rowKey]int{}
	for i := range rows {
		r := &rows[i]
		k := rowKey{r.Written.no, int64(r.Header.Seq), digestInt(r.Digest)}
		keys = append(keys, k.epoch, k.seq, k.digest)
		of[k] = i
	}
	found := map[rowKey]filed{}
	_, err := t.run(storedSubjects, keys, func(r *sql.Rows) error {
		var f filed
		var subject []byte
		err := r.Scan(&f.epoch, &f.seq, &f.digest, &f.day, &subject)
		copy(f.subject[:], subject)
		found[f.rowKey] = f
		return err
	})
	for _, f := range found {
		if is := fn(of[f.rowKey], f.day, f.subject); err == nil && is != f.subject {
			err = t.rename(f, is)
		}
	}
	if err != nil {
		return fmt.Errorf("store: recognise: %w", err)
	}
	return nil
}

func (t *Intake) rename(f filed, is qrgate.Subject) error {
	_, err := t.exec("UPDATE checkins SET subject = ? WHERE epoch_no = ? AND seq = ? AND digest = ?", is[:], f.epoch, f.seq, f.digest)
	if err != nil || t.s.dialect == postgres {
		return err
	}
	_, err = t.exec("UPDATE subjects SET subject = ? WHERE day = ? AND subject = ? AND epoch_no = ? AND seq = ? AND digest = ?",
		is[:], int64(f.day), f.subject[:], f.epoch, f.seq, f.digest)
	return err
}

// KiosksOf returns the kiosks in use that have brought check-ins of somebody of a day.
func (s *Store) KiosksOf(ctx context.Context, day qrgate.Day) (kiosks []string, err error) {
	err = s.each(ctx, func(r *sql.Rows) error {
		var id string
		err := r.Scan(&id)
		kiosks = append(kiosks, id)
		return err
	}, `SELECT k.id FROM kiosks k WHERE k.kind = 0 AND k.state = ? AND k.no IN
		(SELECT e.kiosk_no FROM epochs e WHERE e.no IN (SELECT epoch_no FROM subjects WHERE day = ?)) ORDER BY k.id`, int64(qrgate.KioskActive), int64(day))
	if err != nil {
		return nil, fmt.Errorf("store: kiosks of %s: %w", day, err)
	}
	return kiosks, nil
}
