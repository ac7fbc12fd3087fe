package store

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/when"
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

// recentEpochs is how many epochs Recent looks at: a live page shows no more
// gates than that.
const recentEpochs = 20

const (
	newestEpochs = `SELECT e.no, k.no, k.id FROM epochs e JOIN kiosks k ON k.no = e.kiosk_no ORDER BY e.received DESC LIMIT ?`
	newestOf     = `SELECT g.place, g.gate, c.direction, c.pass, c.verdict, c.reason, c.said, c.earliest, c.latest, c.received
		FROM checkins c JOIN gates g ON g.kiosk_no = ? AND g.no = c.gate_no
		WHERE c.epoch_no = ? ORDER BY c.seq DESC LIMIT ?`
)

// Recent returns about the n check-ins that were received last, the last first:
// the newest of each of the epochs that were heard of last.
func (s *Store) Recent(ctx context.Context, n int) ([]Sighting, error) {
	type epoch struct {
		no, kioskNo int64
		kiosk       string
	}
	var epochs []epoch
	err := s.each(ctx, func(r *sql.Rows) error {
		var e epoch
		err := r.Scan(&e.no, &e.kioskNo, &e.kiosk)
		epochs = append(epochs, e)
		return err
	}, newestEpochs, recentEpochs)
	if err != nil {
		return nil, fmt.Errorf("store: recent epochs: %w", err)
	}
	var all []Sighting
	for _, e := range epochs {
		err := s.each(ctx, func(r *sql.Rows) error {
			v := Sighting{Kiosk: e.kiosk}
			err := r.Scan(&v.Place, &v.Gate, &v.Direction, &v.Pass, &v.Verdict, &v.Reason, &v.Said, &v.Earliest, &v.Latest, &v.Received)
			all = append(all, v)
			return err
		}, newestOf, e.kioskNo, e.no, n)
		if err != nil {
			return nil, fmt.Errorf("store: recent check-ins: %w", err)
		}
	}
	slices.SortStableFunc(all, func(a, b Sighting) int { return cmp.Compare(b.Received, a.Received) })
	return all[:min(n, len(all))], nil
}

const checkinsOf = `SELECT seq, digest, day, subject, pass, verdict, reason, presence, direction, gate_no, lane, said, clock, error,
	boot_no, since, earliest, latest, received FROM checkins WHERE epoch_no = ? ORDER BY seq, digest`

// Checkins calls fn with every check-in of a kiosk, epoch by epoch and each in
// the order in which the kiosk wrote them, for reports and checks.
func (s *Store) Checkins(ctx context.Context, kiosk string, fn func(qrgate.Checkin) error) error {
	snapshot, err := s.snapshot(ctx)
	if err != nil {
		return fmt.Errorf("store: check-ins of %q: %w", kiosk, err)
	}
	defer snapshot.Rollback()
	// Engines join the four tables in orders that read an epoch many times.
	type epoch struct {
		no int64
		id wire.Epoch
	}
	var epochs []epoch
	boots := map[[2]int64]when.Boot{}
	gates := map[int64]string{}
	for _, step := range []struct {
		query string
		scan  func(*sql.Rows) error
	}{
		{"SELECT e.no, e.epoch FROM epochs e JOIN kiosks k ON k.no = e.kiosk_no WHERE k.id = ? ORDER BY e.no", func(r *sql.Rows) error {
			var e epoch
			var id []byte
			err := r.Scan(&e.no, &id)
			copy(e.id[:], id)
			epochs = append(epochs, e)
			return err
		}},
		{"SELECT b.epoch_no, b.no, b.boot FROM boots b JOIN epochs e ON e.no = b.epoch_no JOIN kiosks k ON k.no = e.kiosk_no WHERE k.id = ?", func(r *sql.Rows) error {
			var key [2]int64
			var boot []byte
			if err := r.Scan(&key[0], &key[1], &boot); err != nil {
				return err
			}
			boots[key] = when.Boot(boot)
			return nil
		}},
		{"SELECT g.no, g.gate FROM gates g JOIN kiosks k ON k.no = g.kiosk_no WHERE k.id = ?", func(r *sql.Rows) error {
			var no int64
			var gate string
			err := r.Scan(&no, &gate)
			gates[no] = gate
			return err
		}},
	} {
		if err := s.eachIn(ctx, snapshot, step.scan, step.query, kiosk); err != nil {
			return fmt.Errorf("store: check-ins of %q: %w", kiosk, err)
		}
	}
	for _, e := range epochs {
		err := s.eachIn(ctx, snapshot, func(r *sql.Rows) error {
			c := qrgate.Checkin{Kiosk: kiosk, Epoch: e.id}
			var subject []byte
			var seq, digest, gate, boot int64
			err := r.Scan(&seq, &digest, &c.Day, &subject, &c.Pass, &c.Verdict, &c.Reason, &c.Presence, &c.Direction,
				&gate, &c.Lane, &c.Said, &c.Clock, &c.Error, &boot, &c.Since, &c.Earliest, &c.Latest, &c.Received)
			if err != nil {
				return err
			}
			c.Seq, c.Digest = uint64(seq), digestOf(digest)
			c.Gate, c.Boot = gates[gate], boots[[2]int64{e.no, boot}]
			copy(c.Subject[:], subject)
			return fn(c)
		}, checkinsOf, e.no)
		if err != nil {
			return fmt.Errorf("store: check-ins of %q: %w", kiosk, err)
		}
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
