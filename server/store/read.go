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
	PlaceNo   uint32 // 0 if it is not registered
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
	newestEpochs = "SELECT no FROM epochs ORDER BY received DESC LIMIT ?"
	newestOf     = "SELECT " + rowColumns + " FROM checkins WHERE epoch_no = ? ORDER BY seq DESC LIMIT ?"
)

// Recent returns about the n check-ins that were received last, the last first:
// the newest of each of the epochs that were heard of last.
func (s *Store) Recent(ctx context.Context, n int) ([]Sighting, error) {
	all, err := s.recent(ctx, n)
	if err != nil {
		return nil, fmt.Errorf("store: recent check-ins: %w", err)
	}
	return all, nil
}

func (s *Store) recent(ctx context.Context, n int) ([]Sighting, error) {
	snapshot, err := s.snapshot(ctx)
	if err != nil {
		return nil, err
	}
	defer snapshot.Rollback()
	var rows []checkin
	err = s.arrived(ctx, snapshot, true, func(arrived []checkin) bool {
		slices.Reverse(arrived)
		rows = append(rows, arrived...)
		return len(rows) < n
	})
	if err != nil {
		return nil, err
	}
	seen := map[rowKey]bool{}
	for i := range rows {
		seen[rows[i].key()] = true
	}
	var epochs []int64
	err = s.eachIn(ctx, snapshot, func(r *sql.Rows) error {
		var no int64
		err := r.Scan(&no)
		epochs = append(epochs, no)
		return err
	}, newestEpochs, recentEpochs)
	if err != nil {
		return nil, err
	}
	for _, no := range epochs {
		err := s.eachCheckin(ctx, snapshot, func(c *checkin) error {
			if !seen[c.key()] {
				rows = append(rows, *c)
			}
			return nil
		}, newestOf, no, n)
		if err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(rows, func(a, b checkin) int { return cmp.Compare(b.n[received], a.n[received]) })
	rows = rows[:min(n, len(rows))]

	kiosks, gates, err := s.names(ctx, snapshot, rows)
	if err != nil {
		return nil, err
	}
	all := make([]Sighting, len(rows))
	for i := range rows {
		c := &rows[i]
		kiosk := c.n[epochNo] / epochsPerKiosk
		g := gates[[2]int64{kiosk, c.n[gateNo]}]
		all[i] = Sighting{
			Kiosk: kiosks[kiosk], Place: g.place, PlaceNo: g.placeNo, Gate: g.name, Direction: wire.Direction(c.n[direction]), Pass: pass.Kind(c.n[passKind]),
			Verdict: wire.Verdict(c.n[verdict]), Reason: wire.Reason(c.n[reason]), Said: c.n[said],
			Earliest: c.n[earliest], Latest: c.n[latest], Received: c.n[received],
		}
	}
	return all, nil
}

// eachCheckin runs a query of rowColumns.
func (s *Store) eachCheckin(ctx context.Context, in querier, fn func(*checkin) error, query string, args ...any) error {
	var c checkin
	var subject []byte
	into := c.into(&subject, allNumbers)
	return s.eachIn(ctx, in, func(r *sql.Rows) error {
		if err := r.Scan(into...); err != nil {
			return err
		}
		c.setSubject(subject)
		return fn(&c)
	}, query, args...)
}

// names returns what the numbers of kiosks, and of their gates, stand for.
func (s *Store) names(ctx context.Context, in querier, of []checkin) (kiosks map[int64]string, gates map[[2]int64]gate, err error) {
	kiosks, gates = map[int64]string{}, map[[2]int64]gate{}
	for i := range of {
		no := of[i].n[epochNo] / epochsPerKiosk
		if _, ok := kiosks[no]; ok {
			continue
		}
		err := s.eachIn(ctx, in, func(r *sql.Rows) error {
			var id string
			var gateNo sql.NullInt64
			var placeNo sql.Null[uint32]
			var place, name sql.NullString
			err := r.Scan(&id, &gateNo, &place, &placeNo, &name)
			kiosks[no], gates[[2]int64{no, gateNo.Int64}] = id, gate{place.String, placeNo.V, name.String}
			return err
		}, "SELECT k.id, g.no, g.place, g.place_no, g.gate FROM kiosks k LEFT JOIN gates g ON g.kiosk_no = k.no WHERE k.no = ?", no)
		if err != nil {
			return nil, nil, err
		}
	}
	return kiosks, gates, nil
}

const checkinsOf = "SELECT " + rowColumns + " FROM checkins WHERE epoch_no = ? ORDER BY seq, digest"

// Checkins calls fn with every check-in of a kiosk, epoch by epoch and each in
// the order in which the kiosk wrote them, for reports and checks.
func (s *Store) Checkins(ctx context.Context, kiosk string, fn func(qrgate.Checkin) error) error {
	if err := s.checkins(ctx, kiosk, fn); err != nil {
		return fmt.Errorf("store: check-ins of %q: %w", kiosk, err)
	}
	return nil
}

func (s *Store) checkins(ctx context.Context, kiosk string, fn func(qrgate.Checkin) error) error {
	snapshot, err := s.snapshot(ctx)
	if err != nil {
		return err
	}
	defer snapshot.Rollback()
	type epoch struct {
		no int64
		id wire.Epoch
	}
	var epochs []epoch
	boots := map[[2]int64]when.Boot{}
	err = s.eachIn(ctx, snapshot, func(r *sql.Rows) error {
		var e epoch
		var no sql.NullInt64
		var id, boot []byte
		if err := r.Scan(&e.no, &id, &no, &boot); err != nil {
			return err
		}
		copy(e.id[:], id)
		if len(epochs) == 0 || epochs[len(epochs)-1].no != e.no {
			epochs = append(epochs, e)
		}
		var b when.Boot
		copy(b[:], boot)
		boots[[2]int64{e.no, no.Int64}] = b
		return nil
	}, `SELECT e.no, e.epoch, b.no, b.boot FROM kiosks k JOIN epochs e ON e.kiosk_no = k.no LEFT JOIN boots b ON b.epoch_no = e.no
		WHERE k.id = ? ORDER BY e.no`, kiosk)
	if err != nil || len(epochs) == 0 {
		return err
	}
	kioskNo := epochs[0].no / epochsPerKiosk
	waiting := map[int64][]checkin{} // by epoch
	err = s.arrived(ctx, snapshot, false, func(rows []checkin) bool {
		for _, c := range rows {
			if no := c.n[epochNo]; no/epochsPerKiosk == kioskNo {
				waiting[no] = append(waiting[no], c)
			}
		}
		return true
	})
	if err != nil {
		return err
	}
	_, gates, err := s.names(ctx, snapshot, []checkin{{n: [columns]int64{epochs[0].no}}})
	if err != nil {
		return err
	}
	for _, e := range epochs {
		tell := func(c *checkin) error {
			return fn(c.tell(kiosk, e.id, gates[[2]int64{kioskNo, c.n[gateNo]}], boots[[2]int64{e.no, c.n[bootNo]}]))
		}
		rest := waiting[e.no]
		slices.SortFunc(rest, func(a, b checkin) int { return a.key().compare(b.key()) })
		rest = slices.CompactFunc(rest, func(a, b checkin) bool { return a.key() == b.key() })
		err := s.eachCheckin(ctx, snapshot, func(c *checkin) error {
			for len(rest) > 0 && rest[0].key().compare(c.key()) <= 0 {
				// What is filed already may be dated better.
				if rest[0].key() != c.key() {
					if err := tell(&rest[0]); err != nil {
						return err
					}
				}
				rest = rest[1:]
			}
			return tell(c)
		}, checkinsOf, e.no)
		if err != nil {
			return err
		}
		for i := range rest {
			if err := tell(&rest[i]); err != nil {
				return err
			}
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

// A VerifiedBackup is a backup that was read back. Kiosks may forget its records.
type VerifiedBackup struct {
	ID         string
	Generation uint64 // of the database that it was made of
	// Made says which days it holds: all that were not dropped by then, and none
	// after. So a day that was dropped later is in it if it is not after Made.
	Made     time.Time
	Verified time.Time // zero if keys of some of its days had no copy: kiosks keep these
	Rows     uint64
	Digest   []byte // SHA-256 of its content
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
