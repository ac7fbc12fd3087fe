// Package releases keeps which releases were published, how they are rolled out, and
// what each kiosk last told of its version. It is a room of package store, whose
// transactions it uses; the rules are package fleet/releases'.
//
//	err := rel.Publish(ctx, "", listed)
//	r, err := rel.Begin(ctx, account, rollouts.Rollout{Version: "1.4.0", Stages: []int{5, 25, 100}})
//	err = rel.Change(ctx, account, r, rollouts.Paused)
//
// The promise: each change of a roll-out, by a person or by itself, has its audit row
// in its own transaction, and of two that change one at the same moment the second
// is told so ([qrgate.ErrConflict]).
package releases

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/fleet/configs"
	rollouts "github.com/qrgate/qrgate/server/fleet/releases"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/sync/release"
	"github.com/qrgate/qrgate/sync/wire"
)

// Releases keeps them. It is safe for concurrent use, also by several servers.
type Releases struct {
	s   *store.Store
	now func() time.Time
}

// New returns what s keeps.
func New(s *store.Store, now func() time.Time) *Releases { return &Releases{s, now} }

func wrap(step string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("releases: %s: %w", step, err)
}

// A Published is a release with when it was first listed.
type Published struct {
	rollouts.Release
	Published time.Time
	Withdrawn time.Time // zero if it is still listed
}

// Publish keeps what is listed now. What was listed before and is not any more is
// withdrawn, and with it its roll-outs stop. by is an account or empty for a command.
func (r *Releases) Publish(ctx context.Context, by string, listed []rollouts.Release) error {
	now := r.now().UnixMilli()
	return wrap("publish", r.s.Write(ctx, func(t store.Tx) error {
		if err := t.Lock("releases"); err != nil {
			return err
		}
		before := map[string]bool{}
		err := t.Each(func(rows *sql.Rows) error {
			var version string
			var withdrawn int64
			err := rows.Scan(&version, &withdrawn)
			before[version] = withdrawn == 0
			return err
		}, "SELECT version, withdrawn FROM releases")
		if err != nil {
			return err
		}
		for _, l := range listed {
			_, err := t.Exec(`INSERT INTO releases (version, arches, note, published, withdrawn) VALUES (?, ?, ?, ?, 0)
				ON CONFLICT (version) DO UPDATE SET arches = excluded.arches, note = excluded.note, withdrawn = 0`, l.Version, strings.Join(l.Arches, " "), l.Note, now)
			if err != nil {
				return err
			}
			if !before[l.Version] {
				if err := t.Audit(by, "publish release", l.Version, strings.Join(l.Arches, " ")); err != nil {
					return err
				}
			}
			delete(before, l.Version)
		}
		for version, was := range before {
			if !was {
				continue
			}
			if _, err := t.Exec("UPDATE releases SET withdrawn = ? WHERE version = ?", now, version); err != nil {
				return err
			}
			if _, err := t.Exec("UPDATE rollouts SET state = ?, reason = ?, changed = ?, edition = edition + 1 WHERE version = ? AND state IN (?, ?, ?)",
				string(rollouts.Stopped), rollouts.ByPerson, now, version, string(rollouts.Running), string(rollouts.Paused), string(rollouts.Done)); err != nil {
				return err
			}
			if err := t.Audit(by, "withdraw release", version, ""); err != nil {
				return err
			}
		}
		return nil
	}))
}

// Published returns every release that was ever listed, newest first.
func (r *Releases) Published(ctx context.Context) ([]Published, error) {
	var all []Published
	err := r.s.Read(ctx, func(rows *sql.Rows) error {
		var p Published
		var arches string
		var published, withdrawn int64
		if err := rows.Scan(&p.Version, &arches, &p.Note, &published, &withdrawn); err != nil {
			return err
		}
		p.Arches, p.Published, p.Withdrawn = strings.Fields(arches), at(published), at(withdrawn)
		all = append(all, p)
		return nil
	}, "SELECT version, arches, note, published, withdrawn FROM releases")
	slices.SortFunc(all, func(a, b Published) int { return release.Compare(b.Version, a.Version) })
	return all, wrap("published", err)
}

func at(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

func ms(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

const rolloutColumns = "no, version, state, reason, stages, stage, hold, error_share, at_once, pilots, made_by, begun, moved, changed, edition, group_no, group_stages, group_hold"

func scanRollout(rows *sql.Rows) (r rollouts.Rollout, err error) {
	var stages, pilots, ofGroup string
	var hold, groupHold, atOnce, begun, moved, changed int64
	err = rows.Scan(&r.No, &r.Version, &r.State, &r.Reason, &stages, &r.Stage, &hold, &r.Errors, &atOnce, &pilots, &r.MadeBy, &begun, &moved, &changed, &r.Edition, &r.Group, &ofGroup, &groupHold)
	if r.Group != 0 {
		stages, hold = ofGroup, groupHold
	}
	for _, f := range strings.Fields(stages) {
		n, err := strconv.Atoi(f)
		if err != nil {
			return r, err
		}
		r.Stages = append(r.Stages, n)
	}
	if pilots != "" {
		r.Pilots = strings.Fields(pilots)
	}
	r.Hold, r.AtOnce, r.Begun, r.Moved, r.Changed = time.Duration(hold)*time.Minute, atOnce != 0, at(begun), at(moved), at(changed)
	return r, err
}

// Rollouts returns every roll-out, newest first.
func (r *Releases) Rollouts(ctx context.Context) ([]rollouts.Rollout, error) {
	var all []rollouts.Rollout
	err := r.s.Read(ctx, func(rows *sql.Rows) error {
		one, err := scanRollout(rows)
		all = append(all, one)
		return err
	}, "SELECT "+rolloutColumns+" FROM rollouts ORDER BY no DESC")
	return all, wrap("roll-outs", err)
}

// MaxPilots is the largest number of pilots.
const MaxPilots = 100

// Check says what is wrong with a roll-out that somebody wants to begin.
func Check(r rollouts.Rollout) error {
	bad := len(r.Pilots) > MaxPilots || slices.ContainsFunc(r.Pilots, func(id string) bool { return !wire.ValidKiosk(id) }) ||
		len(r.Stages) == 0 || len(r.Stages) > 10 || r.Errors < 1 || r.Errors > 100 || r.Hold < 0 || r.Hold > 30*24*time.Hour || !release.Valid(r.Version)
	last := 0
	if len(r.Pilots) > 0 {
		last = -1 // a stage of theirs alone
	}
	for _, s := range r.Stages {
		if s <= last || s > 100 {
			bad = true
		}
		last = s
	}
	if bad || last != 100 {
		return qrgate.ErrInvalid
	}
	return nil
}

// century is a hundred years in minutes.
const century = 100 * 365 * 24 * 60

// Begin begins to roll a listed release out. Roll-outs of other versions that are
// under way stop. A release that is not listed or a group that is not there is
// [qrgate.ErrNotFound], and a release that is being rolled out already
// [qrgate.ErrConflict].
func (r *Releases) Begin(ctx context.Context, by string, want rollouts.Rollout) (rollouts.Rollout, error) {
	if err := Check(want); err != nil {
		return want, wrap("begin", err)
	}
	err := r.s.Write(ctx, func(t store.Tx) error {
		if err := t.Lock("rollouts"); err != nil {
			return err
		}
		if want.Group != 0 {
			groups := 0
			if err := t.Each(func(rows *sql.Rows) error { return rows.Scan(&groups) }, "SELECT COUNT(*) FROM config_groups WHERE id = ? AND removed = 0", want.Group); err != nil {
				return err
			}
			if groups == 0 {
				return qrgate.ErrNotFound
			}
		}
		listed, under := false, false
		err := t.Each(func(rows *sql.Rows) error {
			var n int64
			listed = true
			return rows.Scan(&n)
		}, "SELECT published FROM releases WHERE version = ? AND withdrawn = 0", want.Version)
		if err != nil {
			return err
		}
		if !listed {
			return qrgate.ErrNotFound
		}
		want.No = 1
		err = t.Each(func(rows *sql.Rows) error {
			one, err := scanRollout(rows)
			want.No = max(want.No, one.No+1)
			under = under || one.Version == want.Version && (one.State == rollouts.Running || one.State == rollouts.Paused)
			return err
		}, "SELECT "+rolloutColumns+" FROM rollouts")
		if err != nil {
			return err
		}
		if under {
			return qrgate.ErrConflict
		}
		now := r.now()
		want.State, want.Reason, want.Stage, want.MadeBy, want.Begun, want.Moved, want.Changed, want.Edition = rollouts.Running, "", 0, by, now, now, now, 1
		_, err = t.Exec("UPDATE rollouts SET state = ?, reason = ?, changed = ?, edition = edition + 1 WHERE state IN (?, ?)",
			string(rollouts.Stopped), rollouts.ByNewer, now.UnixMilli(), string(rollouts.Running), string(rollouts.Paused))
		if err != nil {
			return err
		}
		var shares []string
		for _, s := range want.Stages {
			shares = append(shares, strconv.Itoa(s))
		}
		stages, ofGroup, note := strings.Join(shares, " "), "", strings.Join(shares, " ")
		hold, groupHold := int64(want.Hold/time.Minute), int64(0)
		if want.Group != 0 {
			// A server of the version before, which knows of no groups, tells nobody but
			// the pilots. To it that is the last stage: it must not see the end of it.
			stages, ofGroup, note = "0", stages, string(configs.Group(want.Group))+" "+note
			hold, groupHold = century, hold
		}
		_, err = t.Exec("INSERT INTO rollouts ("+rolloutColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
			want.No, want.Version, string(want.State), "", stages, 0, hold, want.Errors, flag(want.AtOnce), strings.Join(want.Pilots, " "), by,
			now.UnixMilli(), now.UnixMilli(), now.UnixMilli(), 1, want.Group, ofGroup, groupHold)
		if err != nil {
			return err
		}
		return t.Audit(by, "begin roll-out", want.Version, note)
	})
	return want, wrap("begin", err)
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// Move keeps what became of a roll-out by itself.
func (r *Releases) Move(ctx context.Context, from, to rollouts.Rollout) error {
	return wrap("move", r.change(ctx, "", from, to))
}

// Change pauses, resumes or stops a roll-out, as somebody who has seen it as it is
// given wants it.
func (r *Releases) Change(ctx context.Context, by string, seen rollouts.Rollout, to rollouts.State) error {
	next := seen
	next.State, next.Changed = to, r.now()
	switch {
	case to == rollouts.Paused && seen.State == rollouts.Running:
	case to == rollouts.Running && seen.State == rollouts.Paused:
		next.Moved = r.now() // the stage is watched anew
	case to == rollouts.Stopped && seen.State != rollouts.Stopped:
		next.Reason = rollouts.ByPerson
	default:
		return wrap("change", qrgate.ErrInvalid)
	}
	return wrap("change", r.change(ctx, by, seen, next))
}

// Ahead begins the next stage without waiting for this one.
func (r *Releases) Ahead(ctx context.Context, by string, seen rollouts.Rollout) error {
	if seen.State != rollouts.Running || seen.Last() {
		return wrap("ahead", qrgate.ErrInvalid)
	}
	next := seen
	next.Stage++
	next.Moved, next.Changed = r.now(), r.now()
	return wrap("ahead", r.change(ctx, by, seen, next))
}

func (r *Releases) change(ctx context.Context, by string, from, to rollouts.Rollout) error {
	return r.s.Write(ctx, func(t store.Tx) error {
		n, err := t.Exec("UPDATE rollouts SET state = ?, reason = ?, stage = ?, moved = ?, changed = ?, edition = edition + 1 WHERE no = ? AND edition = ?",
			string(to.State), to.Reason, to.Stage, to.Moved.UnixMilli(), to.Changed.UnixMilli(), from.No, from.Edition)
		if err != nil {
			return err
		}
		if n == 0 {
			return qrgate.ErrConflict
		}
		return t.Audit(by, "change roll-out", to.Version, fmt.Sprintf("%s %s %d", to.State, to.Reason, to.Share()))
	})
}

// Kiosks returns what is known of the version of every kiosk that is not revoked.
func (r *Releases) Kiosks(ctx context.Context) ([]rollouts.Kiosk, error) {
	var all []rollouts.Kiosk
	err := r.s.Read(ctx, func(rows *sql.Rows) error {
		var k rollouts.Kiosk
		var since, asked, told, contact int64
		err := rows.Scan(&k.ID, &k.Place, &k.Running, &k.Launcher, &k.Arch, &k.Stage, &k.Version, &k.Reason, &k.Loaded, &since, &k.Wanted, &asked, &told, &contact, &k.Group)
		k.Since, k.Asked, k.Contact = at(since), at(asked), at(max(told, contact))
		all = append(all, k)
		return err
	}, `SELECT k.id, k.place, COALESCE(s.running, ''), COALESCE(s.launcher, ''), COALESCE(s.arch, ''), COALESCE(s.stage, 0), COALESCE(s.version, ''),
		COALESCE(s.reason, ''), COALESCE(s.loaded, 0), COALESCE(s.since, 0), COALESCE(s.wanted, ''), COALESCE(s.asked, 0), COALESCE(s.told, 0), COALESCE(p.contact, 0), COALESCE(m.group_id, 0)
		FROM kiosks k LEFT JOIN release_states s ON s.kiosk_no = k.no LEFT JOIN presences p ON p.kiosk_no = k.no
		LEFT JOIN config_members m ON m.kiosk_no = k.no
		WHERE k.state = ? AND k.kind = 0 ORDER BY k.id`, int64(qrgate.KioskActive))
	return all, wrap("kiosks", err)
}

// Groups returns the group of every kiosk that is in one.
func (r *Releases) Groups(ctx context.Context) (map[string]int64, error) {
	groups := map[string]int64{}
	err := r.s.Read(ctx, func(rows *sql.Rows) error {
		var kiosk string
		var group int64
		err := rows.Scan(&kiosk, &group)
		groups[kiosk] = group
		return err
	}, "SELECT k.id, m.group_id FROM config_members m JOIN kiosks k ON k.no = m.kiosk_no")
	return groups, wrap("groups", err)
}

// batch is how many kiosks are kept in one transaction.
const batch = 500

// Save keeps what kiosks have told. A kiosk that is not known is left out.
func (r *Releases) Save(ctx context.Context, told []rollouts.Kiosk) error {
	var errs []error
	for some := range slices.Chunk(told, batch) {
		errs = append(errs, r.s.Write(ctx, func(t store.Tx) error {
			for _, k := range some {
				_, err := t.Exec(`INSERT INTO release_states (kiosk_no, running, launcher, arch, stage, version, reason, loaded, since, wanted, asked, told)
					SELECT no, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? FROM kiosks WHERE id = ?
					ON CONFLICT (kiosk_no) DO UPDATE SET running = excluded.running, launcher = excluded.launcher, arch = excluded.arch, stage = excluded.stage,
					version = excluded.version, reason = excluded.reason, loaded = excluded.loaded, since = excluded.since, wanted = excluded.wanted,
					asked = excluded.asked, told = excluded.told`,
					k.Running, k.Launcher, k.Arch, int64(k.Stage), k.Version, string(k.Reason), k.Loaded, ms(k.Since), k.Wanted, ms(k.Asked), ms(k.Contact), k.ID)
				if err != nil {
					return err
				}
			}
			return nil
		}))
	}
	return wrap("save", errors.Join(errs...))
}
