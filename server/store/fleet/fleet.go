// Package fleet keeps what package server/fleet judges by and what it found: kiosks
// as they are, their history, alarms, and whom to tell.
//
//	f := fleet.New(s, time.Now)
//	kiosks, err := f.Kiosks(ctx)
//	history, err := f.History(ctx, no, fleet.Fine, from)
//
// One set of statements serves both engines. Several servers may judge at once
// without harm, though as a rule one does: an alarm of a kiosk and kind is open once,
// which the database sees to.
//
// History is bounded: samples of five minutes for two days and of an hour for ninety,
// comings and goings for ninety days, ended alarms for a year. It is not in backups.
package fleet

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	judge "github.com/qrgate/qrgate/server/fleet"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/sync/wire"
)

// A Fleet is what a store keeps of kiosks. It is safe for concurrent use.
type Fleet struct {
	s      *store.Store
	now    func() time.Time
	holder string // of the lease

	mu    sync.Mutex
	beats map[int64]decoded
	hours map[string][]qrgate.Hours
}

// decoded is a beat that was decoded before.
type decoded struct {
	contact int64
	beat    *wire.Beat
}

// New returns what s keeps.
func New(s *store.Store, now func() time.Time) *Fleet {
	return &Fleet{s: s, now: now, holder: rand.Text(), beats: map[int64]decoded{}, hours: map[string][]qrgate.Hours{}}
}

// Lease makes this server the one that judges, for some time, and reports whether it
// is.
func (f *Fleet) Lease(ctx context.Context, lasts time.Duration) (mine bool, err error) {
	now := f.now()
	err = f.s.Write(ctx, func(t store.Tx) error {
		n, err := t.Exec(`INSERT INTO leases (name, holder, until) VALUES ('fleet', ?, ?)
			ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until WHERE leases.holder = excluded.holder OR leases.until <= ?`,
			f.holder, now.Add(lasts).UnixMilli(), now.UnixMilli())
		mine = n == 1
		return err
	})
	return mine, wrap("lease", err)
}

func wrap(step string, err error) error {
	if err != nil {
		return fmt.Errorf("store/fleet: %s: %w", step, err)
	}
	return nil
}

const kioskQuery = `SELECT k.no, k.id, k.state, k.added, k.place, k.place_no, COALESCE(p.up, 0), COALESCE(p.session, 0), COALESCE(p.since, 0), COALESCE(p.contact, 0), p.beat,
		COALESCE(pl.name, ''), COALESCE(pl.organisation, ''), COALESCE(pl.sector, ''), COALESCE(pl.kind, ''), COALESCE(pl.area_now, ''), COALESCE(pl.hours, '')
	FROM kiosks k LEFT JOIN presences p ON p.kiosk_no = k.no LEFT JOIN places pl ON pl.no = k.place_no
	WHERE k.kind = 0`

// Kiosks returns all kiosks, without their ledgers, in the order in which they were
// added. The beats are shared and must not be changed.
func (f *Fleet) Kiosks(ctx context.Context) ([]*judge.Kiosk, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []*judge.Kiosk
	err := f.s.Read(ctx, func(r *sql.Rows) error {
		k, err := f.scan(r)
		all = append(all, k)
		return err
	}, kioskQuery+" ORDER BY k.no")
	return all, wrap("kiosks", err)
}

// Kiosk returns one kiosk, with its ledger, or qrgate.ErrNotFound.
func (f *Fleet) Kiosk(ctx context.Context, id string) (*judge.Kiosk, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var k *judge.Kiosk
	err := f.s.Read(ctx, func(r *sql.Rows) (err error) { k, err = f.scan(r); return err }, kioskQuery+" AND k.id = ?", id)
	if err == nil && k == nil {
		err = qrgate.ErrNotFound
	}
	return k, wrap("kiosk", err)
}

// hoursKept bounds the texts of hours that are kept read.
const hoursKept = 20_000

func (f *Fleet) scan(r *sql.Rows) (*judge.Kiosk, error) {
	var k judge.Kiosk
	var changed, contact, added int64
	var beat sql.RawBytes
	var name, hours string
	var session int64
	err := r.Scan(&k.No, &k.ID, &k.State, &added, &k.Place.Name, &k.Place.No, &k.Up, &session, &changed, &contact, &beat,
		&name, &k.Place.Organisation, &k.Place.Sector, &k.Place.Kind, &k.Place.Area, &hours)
	if err != nil {
		return nil, err
	}
	k.Session, k.Added, k.Changed, k.Contact = uint64(session), at(added), at(changed), at(contact)
	if name != "" {
		k.Place.Name = name
	}
	if hours != "" {
		h, ok := f.hours[hours]
		if !ok {
			if err := json.Unmarshal([]byte(hours), &h); err != nil {
				return nil, fmt.Errorf("hours of %d: %w", k.Place.No, err)
			}
			if len(f.hours) >= hoursKept {
				clear(f.hours)
			}
			f.hours[hours] = h
		}
		k.Place.Hours = h
	}
	if len(beat) > 0 {
		d := f.beats[k.No]
		if d.beat == nil || d.contact != contact {
			d = decoded{contact, new(wire.Beat)}
			if err := wire.Decode(beat, d.beat); err != nil {
				d.beat = nil // of a later release: it is not known how the kiosk is
			}
			f.beats[k.No] = d
		}
		k.Beat = d.beat
	}
	return &k, nil
}

// at returns a time of Unix milliseconds, of which 0 stands for none.
func at(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

func milli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// forkKept is how long after its last batch an epoch with two histories is told of.
const forkKept = 7 * 24 * time.Hour

// Ledgers returns what is not whole in the ledgers of kiosks, by their ids.
func (f *Fleet) Ledgers(ctx context.Context, now time.Time) (map[string]judge.Ledger, error) {
	epochs, err := f.s.Ledgers(ctx, now)
	if err != nil {
		return nil, wrap("ledgers", err)
	}
	all := map[string]judge.Ledger{}
	for _, e := range epochs {
		l := all[e.Kiosk]
		if e.Forked && now.Sub(e.Received) < forkKept {
			l.Forked = true
		}
		if e.Gap() {
			l.Gaps++
		}
		if l != (judge.Ledger{}) {
			all[e.Kiosk] = l
		}
	}
	return all, nil
}
