package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/qrgate/qrgate/server/store/archive"
)

// tables are what a backup holds, in an order in which rows may be inserted.
// Columns marked t are text and b bytes, the others numbers. Keys are not in the
// database, so they are not in its backups. Neither are sessions, signins and
// uploads: after a restore everybody signs in anew; nor what orders brought, which was
// looked at and is to be forgotten, nor what waits to be signed.
var tables = []table{
	newTable("kiosks", "no, id:t, place:t, public:b, state, added, version, kind, place_no"),
	newTable("presences", "kiosk_no, up, session, since, contact, beat:b"),
	newTable("epochs", `no, kiosk_no, epoch:b, ledger:b, safe, opened_by, previous:b, carried, lost, last, ended, checkins, late, received,
		boot_no, boot_last, boot_ended, boot_arrived, boot_arrived_since, strayed`),
	newTable("boots", "epoch_no, no, boot:b, first, last, started, ended, arrived, arrived_since, carried"),
	newTable("anchors", "kiosk_no, boot:b, since, server, error"),
	newTable("redates", "epoch_no, boot_no, seq, digest, last, arrived"),
	newTable("gates", "kiosk_no, no, place:t, place_no, gate:t"),
	newTable("checkins", strings.Replace(rowColumns, "subject", "subject:b", 1)),
	newTable("dead_letters", "epoch_no, seq, digest, reason, record:b, received"),
	newTable("identities", "identity:b, person"),
	newTable("people", "person, wrapped:b"),
	newTable("details", "person, sealed:b"),
	newTable("backups", "id:t, generation, made, verified, rows, digest:b"),
	newTable("visits", "key:b, place_no, direction, people, happened, earliest, latest, received, body:b"),
	newTable("tallies", "place_no, day, kiosk_no, ins, outs, first, last"),
	newTable("audit", "id:b, at, action:t, object:t, actor:t, note:t, link"),
	newTable("audit_seals", "no, first, last, newest, at, previous:b, hash:b, key, signature:b"),
	newTable("certificates", "day, version, made, waiting, body:b"),
	newTable("drops", "day, shredded, rows, letters, people, done"),
	newTable("copies_gone", "id:t, gone, said_by:t"),
	newTable("rights_requests", "id:t, kind:t, state:t, office:t, received, answer_by, fulfil_by, answered, done, reason:t, clerk:t, officer:t, sealed:b, version"),
	newTable("erasures", "person, at, proof:b"),
	newTable("restraints", "person, kind:t, since, made_by:t, request:t"),
	newTable("accounts", "id:t, name:t, display:t, password:t, email:t, confirmed, phone:t, state, totp:b, totp_step, created"),
	newTable("links", "issuer:t, subject:t, account:t, linked"),
	newTable("organisations", "id:t, name:t, folded:t, sector:t, phone:t, email:t, created, deleted"),
	newTable("association_members", "association:t, organisation:t, made_by:t, made"),
	newTable("grants", "account:t, role:t, scope:t, given_by:t, given"),
	newTable("invitations", "hash:b, organisation:t, role:t, note:t, made_by:t, made, until"),
	newTable("secrets", "hash:b, account:t, kind:t, arg:t, made, until, tries"),
	newTable("places", `no, organisation:t, name:t, folded:t, sector:t, kind:t, area:t, area_now:t, street:t, lat, lon, person:t, phones:t, email:t,
		capacity, hours:t, doors, version, poster, created, changed, deleted`),
	newTable("introductions", "place, body:t, version, shown, changed"),
	newTable("pictures", "id:t, place, no, title:t, width, height, jpeg:b, added"),
	newTable("templates", "version, body:t, emblem:b, must, note:t, made_by:t, made"),
	newTable("posters", "place, version, template, name:t, address:t, made_by:t, made, printed, formats:t"),
	newTable("difficulties", `id:t, at, account:t, page:t, category:t, place, sector:t, area:t, text:t, contact:t, state:t, answer:t,
		answered_by:t, answered`),
	newTable("holders", "id:t, person, office:t, alike:b, sealed:b, version, made_by:t, made, changed"),
	newTable("card_batches", "id:t, office:t, kind, cards, made_by:t, made"),
	newTable("cards", "number, batch:t, holder:t, office:t, kind, people, issue, first, last, longest, made, revoked, reason:t, voided"),
	newTable("signed_passes", "purpose:t, number, issue, body:b, day"),
	newTable("sign_raises", "purpose:t, day, batch, most, made_by:t, made"),
	newTable("lists", "id, version, base, since, confirmed"),
	newTable("listed", "id:t, name:t, folded:t, sector:t, kind:t, area:t, area_now:t, street:t, phone:t, place, made_by:t, made"),
	newTable("targets", "id:t, sector:t, area:t, kind:t, stage, percent, begun, due, note:t, version, made_by:t, made"),
	newTable("inspections", "id:t, place, at, made_by:t, poster, checks:t, people, scanned, result:t, note:t, due, settled, settled_by:t"),
	newTable("reports", "id:t, sector:t, area:t, title:t, version, made_by:t, made, changed_by:t, changed, issued"),
	newTable("report_versions", "report:t, version, body:t, made_by:t, made"),
	newTable("events", "no, organisation:t, place, name:t, about:t, starts, ends, early, capacity, open, reentry, version, bundle, last_pass, made_by:t, made, changed, cancelled"),
	newTable("event_categories", "event, no, kind:t, name:t, gates:t, quota"),
	newTable("guests", "number, event, category, issue, person, sealed:b, made, sent, cancelled"),
	newTable("cases", `id:t, year, no, state:t, profile:t, scope:t, opened_by:t, opened, changed, ends, approval:t, decided_by:t, decided, runs, late,
		version, wrapped:b, sealed:b`),
	newTable("case_glasses", "id:t, case_id:t, made_by:t, made, until, reviewed_by:t, reviewed, proper, sealed:b, kind:t"),
	newTable("case_runs", "case_id:t, no, made_by:t, made, ring, reference:b, began, sealed:b, fingerprint:b"),
	newTable("case_calls", "case_id:t, reference:b, status:t, made_by:t, made, version, sealed:b"),
	newTable("case_notices", "id:t, account:t, case_id:t, kind:t, made, seen, mailed"),
	newTable("merges", "person, same_as, made_by:t, made"),
	newTable("movements", "day, run, upto, seen, made, body:b"),
	newTable("crowds", "day, place_no, peak, body:b"),
	newTable("room_counts", "place, event, category, kiosk_no, period, granted, returned, ins, outs, told"),
	newTable("releases", "version:t, arches:t, note:t, published, withdrawn"),
	newTable("rollouts", "no, version:t, state:t, reason:t, stages:t, stage, hold, error_share, at_once, pilots:t, made_by:t, begun, moved, changed, edition, group_no, group_stages:t, group_hold"),
	newTable("release_states", "kiosk_no, running:t, launcher:t, arch:t, stage, version:t, reason:t, loaded, since, wanted:t, asked, told"),
	newTable("fleet_alarms", "kiosk_no, kind:t, since, grave, value, about:t, seen, ended, acked_by:t, acked, together, told, told_end"),
	newTable("fleet_mutes", "kiosk_no, kind:t, until, made_by:t, made"),
	newTable("fleet_subscriptions", "id:t, account:t, scope:t, address:t, grave, made"),
	newTable("enrolments", `id:t, hash:b, kiosk:t, place_no, place:t, gate:t, lane, direction, replaces:t, state, tries, public:b, words:t, model:t, made_by:t, made, until,
		asked, decided_by:t, decided, collected`),
	newTable("kiosk_identities", "kiosk_no, gate:t, lane, direction, replaces:t, revoked, revoked_by:t, wipe, wiped, cloned"),
	newTable("config_layers", "layer:t, version, body:t, why:t, made_by:t, made"),
	newTable("config_groups", "id, name:t, removed"),
	newTable("config_members", "kiosk_no, group_id"),
	newTable("config_documents", "kiosk_no, version, body:b, made"),
	newTable("config_state", "id, revision"),
	newTable("orders", "id:b, kiosk_no, kind, args:b, made_by:t, issued, expires, state, reason, detail:t, ended, checks:b, parts, waits, pressed"),
	newTable("command_cards", "serial, kind, arg, single, kiosk_no, place_no, begins, ends, note:t, made_by:t, made"),
	newTable("order_uses", "epoch_no, seq, kiosk_no, kind, state, reason, card, id:b, undone, count, said, earliest, latest, received"),
	newTable("passages", "epoch_no, seq, digest, kiosk_no, place_no, gate:t, lane, direction, hour, took, people, against, scans, shut, earliest, latest, received"),
	newTable("tokens", "id:t, hash:b, name:t, scopes:t, made_by:t, made, until, used, revoked"),
}

type table struct {
	archive.Table
	kinds map[string]string // of the columns
}

func newTable(name, columns string) table {
	t := table{Table: archive.Table{Name: name}, kinds: map[string]string{}}
	for _, c := range strings.Split(columns, ",") {
		column, kind, _ := strings.Cut(strings.TrimSpace(c), ":")
		t.Columns, t.kinds[column] = append(t.Columns, column), kind
	}
	return t
}

// ErrBackup is returned for a file that is no backup, or not a whole one.
var ErrBackup = archive.ErrDamaged

// Backup writes what the database holds at one moment. w should be quick, for
// instance a file: what is written to the database meanwhile stays in its log.
func (s *Store) Backup(ctx context.Context, w io.Writer) error {
	if err := s.backup(ctx, w); err != nil {
		return fmt.Errorf("store: backup: %w", err)
	}
	return nil
}

func (s *Store) backup(ctx context.Context, w io.Writer) error {
	snapshot, err := s.snapshot(ctx)
	if err != nil {
		return err
	}
	defer snapshot.Rollback()
	var id [8]byte
	rand.Read(id[:])
	head := archive.Head{ID: hex.EncodeToString(id[:]), Made: s.now().UnixMilli()}
	for _, t := range tables {
		head.Tables = append(head.Tables, t.Table)
	}
	if err := snapshot.QueryRowContext(ctx, "SELECT generation FROM meta").Scan(&head.Generation); err != nil {
		return err
	}
	out, err := archive.NewWriter(w, head)
	if err != nil {
		return err
	}
	for i, t := range tables {
		rows, err := snapshot.QueryContext(ctx, "SELECT "+strings.Join(t.Columns, ", ")+" FROM "+t.Name)
		if err != nil {
			return fmt.Errorf("%s: %w", t.Name, err)
		}
		if t.Name == "checkins" {
			err = s.backupCheckins(ctx, snapshot, out, i, rows)
		} else {
			err = backupRows(rows, len(t.Columns), func(values []any) error { return out.Row(i, values) })
		}
		if err != nil {
			return fmt.Errorf("%s: %w", t.Name, err)
		}
	}
	return out.Close()
}

// backupCheckins writes each check-in once, whether it is filed, in arrivals or
// both: a backup knows no arrivals.
func (s *Store) backupCheckins(ctx context.Context, snapshot querier, out *archive.Writer, table int, rows *sql.Rows) error {
	waiting := map[rowKey]bool{}
	err := s.arrived(ctx, snapshot, false, func(rows []checkin) bool {
		for i := range rows {
			waiting[rows[i].key()] = true
		}
		return true
	})
	if err != nil {
		rows.Close()
		return err
	}
	err = backupRows(rows, len(tables[table].Columns), func(values []any) error {
		if len(waiting) > 0 {
			delete(waiting, rowKey{values[epochNo].(int64), values[seq].(int64), values[digest].(int64)})
		}
		return out.Row(table, values)
	})
	if err != nil || len(waiting) == 0 {
		return err
	}
	var failed error
	var values []any
	err = s.arrived(ctx, snapshot, false, func(rows []checkin) bool {
		for i := range rows {
			if !waiting[rows[i].key()] {
				continue
			}
			delete(waiting, rows[i].key())
			values = rows[i].values(values[:0])
			if failed = out.Row(table, values); failed != nil {
				return false
			}
		}
		return true
	})
	return errors.Join(err, failed)
}

// backupRows calls fn with the values of each row.
func backupRows(rows *sql.Rows, columns int, fn func([]any) error) error {
	values := make([]any, columns)
	into := make([]any, columns)
	for i := range into {
		into[i] = &values[i]
	}
	return eachRow(rows, func(r *sql.Rows) error {
		if err := r.Scan(into...); err != nil {
			return err
		}
		for i, v := range values {
			if b, ok := v.([]byte); ok && b == nil { // no bytes, and not NULL
				values[i] = []byte{}
			}
		}
		return fn(values)
	})
}
