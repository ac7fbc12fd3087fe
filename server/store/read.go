package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

// A Sighting is a check-in as a live page shows it: nobody's.
type Sighting struct {
	Kiosk     string
	Place     string
	Gate      string
	Direction wire.Direction
	Pass      pass.Kind
	Verdict   wire.Verdict
	Reason    wire.Reason
	Said      int64 // Unix milliseconds as the kiosk believed
	Earliest  int64
	Latest    int64
	Received  int64
}

// Recent returns the n check-ins that were received last, the last first.
func (s *Store) Recent(ctx context.Context, n int) ([]Sighting, error) {
	var all []Sighting
	err := s.each(ctx, func(r *sql.Rows) error {
		var v Sighting
		err := r.Scan(&v.Kiosk, &v.Place, &v.Gate, &v.Direction, &v.Pass, &v.Verdict, &v.Reason, &v.Said, &v.Earliest, &v.Latest, &v.Received)
		all = append(all, v)
		return err
	}, `SELECT k.id, g.place, g.gate, c.direction, c.pass, c.verdict, c.reason, c.said, c.earliest, c.latest, c.received
		FROM checkins c JOIN epochs e ON e.no = c.under_no JOIN kiosks k ON k.no = e.kiosk_no
		JOIN gates g ON g.kiosk_no = k.no AND g.no = c.gate_no
		WHERE c.day >= (SELECT COALESCE(MAX(day), 0) - 1 FROM checkins)
		ORDER BY c.received DESC, c.seq DESC LIMIT ?`, n)
	if err != nil {
		return nil, fmt.Errorf("store: recent: %w", err)
	}
	return all, nil
}

// Checkins calls fn with every check-in of a kiosk, epoch by epoch and each in
// the order in which the kiosk wrote them, for reports and checks.
func (s *Store) Checkins(ctx context.Context, kiosk string, fn func(qrgate.Checkin) error) error {
	err := s.each(ctx, func(r *sql.Rows) error {
		c := qrgate.Checkin{Kiosk: kiosk}
		var epoch, subject, boot []byte
		var seq, digest int64
		err := r.Scan(&epoch, &seq, &digest, &c.Day, &subject, &c.Pass, &c.Verdict, &c.Reason, &c.Presence, &c.Direction,
			&c.Gate, &c.Lane, &c.Said, &c.Clock, &c.Error, &boot, &c.Since, &c.Earliest, &c.Latest, &c.Received)
		if err != nil {
			return err
		}
		c.Seq, c.Digest = uint64(seq), digestOf(digest)
		copy(c.Epoch[:], epoch)
		copy(c.Subject[:], subject)
		copy(c.Boot[:], boot)
		return fn(c)
	}, `SELECT e.epoch, c.seq, c.digest, c.day, c.subject, c.pass, c.verdict, c.reason, c.presence, c.direction,
			g.gate, c.lane, c.said, c.clock, c.error, b.boot, c.since, c.earliest, c.latest, c.received
		FROM checkins c JOIN epochs e ON e.no = c.epoch_no JOIN kiosks k ON k.no = e.kiosk_no
		JOIN gates g ON g.kiosk_no = k.no AND g.no = c.gate_no
		JOIN boots b ON b.epoch_no = c.epoch_no AND b.no = c.boot_no
		WHERE k.id = ? ORDER BY c.epoch_no, c.seq`, kiosk)
	if err != nil {
		return fmt.Errorf("store: check-ins of %q: %w", kiosk, err)
	}
	return nil
}

// A DeadLetter is a record that the server took and could not use.
type DeadLetter struct {
	Kiosk  string
	Epoch  wire.Epoch
	Seq    uint64
	Reason wire.Reason
	Record []byte
}

// DeadLetters returns every dead letter, oldest first.
func (s *Store) DeadLetters(ctx context.Context) ([]DeadLetter, error) {
	var all []DeadLetter
	err := s.each(ctx, func(r *sql.Rows) error {
		var d DeadLetter
		var epoch []byte
		var seq int64
		err := r.Scan(&d.Kiosk, &epoch, &seq, &d.Reason, &d.Record)
		copy(d.Epoch[:], epoch)
		d.Seq = uint64(seq)
		all = append(all, d)
		return err
	}, `SELECT k.id, e.epoch, d.seq, d.reason, d.record FROM dead_letters d
		JOIN epochs e ON e.no = d.epoch_no JOIN kiosks k ON k.no = e.kiosk_no ORDER BY d.received, d.epoch_no, d.seq`)
	if err != nil {
		return nil, fmt.Errorf("store: dead letters: %w", err)
	}
	return all, nil
}

// A VerifiedBackup is a backup whose records kiosks may forget.
type VerifiedBackup struct {
	ID         string
	Generation uint64 // of the database that it was made of
	Made       time.Time
	Verified   time.Time
	Rows       uint64
	Digest     []byte // SHA-256 of its content
}

// Backups returns the verified backups, the newest first.
func (s *Store) Backups(ctx context.Context) ([]VerifiedBackup, error) {
	var all []VerifiedBackup
	err := s.each(ctx, func(r *sql.Rows) error {
		var b VerifiedBackup
		var made, verified int64
		err := r.Scan(&b.ID, &b.Generation, &made, &verified, &b.Rows, &b.Digest)
		b.Made, b.Verified = milli(made), milli(verified)
		all = append(all, b)
		return err
	}, "SELECT id, generation, made, verified, rows, digest FROM backups ORDER BY made DESC, id")
	if err != nil {
		return nil, fmt.Errorf("store: backups: %w", err)
	}
	return all, nil
}
