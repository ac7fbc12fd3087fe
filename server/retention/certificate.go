package retention

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/retention/proof"
	"github.com/qrgate/qrgate/server/store/rights"
)

// A Certificate says what was dropped of a day, and who may still hold something
// of it.
type Certificate struct {
	V          int       `json:"version"`
	Controller string    `json:"controller,omitempty"`
	Server     string    `json:"server"`
	Day        string    `json:"day"`
	Days       int       `json:"retention_days"`
	Shredded   time.Time `json:"key_destroyed"`
	Dropped    time.Time `json:"rows_dropped"`
	Checkins   int64     `json:"check_ins"`
	Messages   int64     `json:"unusable_messages"`
	People     int64     `json:"people_forgotten"`
	Generation uint64    `json:"database_generation"`
	Waiting    Waiting   `json:"not_yet_confirmed"`
	Seal       int64     `json:"audit_seal"` // the newest when this was made, and its hash
	Hash       string    `json:"audit_hash"`
	Made       time.Time `json:"made"`
}

// Waiting is who may still hold something of a day.
type Waiting struct {
	Backups []Backup      `json:"backups"` // names of people, no longer where they were
	Copies  []string      `json:"copies"`
	Kiosks  []KioskBehind `json:"kiosks"`
}

// Count returns how many they are.
func (w *Waiting) Count() int { return len(w.Backups) + len(w.Copies) + len(w.Kiosks) }

// A KioskBehind is a kiosk that may still hold records of a day.
type KioskBehind struct {
	ID     string    `json:"id"`
	Why    string    `json:"why"` // silent, queued, revoked
	Heard  time.Time `json:"heard,omitzero"`
	Queued uint64    `json:"queued,omitempty"`
}

// The reasons why a kiosk may still hold records.
const (
	Silent  = "silent"  // it has not been heard of since long enough after the day
	Queued  = "queued"  // it holds records that it has not delivered
	Revoked = "revoked" // it may not connect, and nobody has said that its card was destroyed
)

// keptByKiosks is how long a kiosk keeps a record that was receipted.
const keptByKiosks = 7 * 24 * time.Hour

// certificateVersion is of the form of certificates.
const certificateVersion = 1

// followFor is how long newer versions of a certificate are made.
const followFor = 60

// certify makes the certificates that are missing, and newer versions of those
// about which there is something new to say. The keys' copies are seen to first.
func (k *Keeper) certify(ctx context.Context) error {
	return errors.Join(step("copies of keys", k.copyKeys()), k.certifyAll(ctx))
}

func (k *Keeper) certifyAll(ctx context.Context) error {
	drops, err := k.Rights.Drops(ctx, followFor)
	if err != nil {
		return err
	}
	for _, d := range slices.Backward(drops) {
		if d.Done.IsZero() {
			continue
		}
		if err := k.certifyDay(ctx, d); err != nil {
			return fmt.Errorf("day %s: %w", d.Day, err)
		}
	}
	return nil
}

func (k *Keeper) certifyDay(ctx context.Context, d rights.Drop) error {
	generation, err := k.Store.Generation(ctx)
	if err != nil {
		return err
	}
	c := Certificate{
		V: certificateVersion, Controller: k.o.Controller, Server: k.o.Server, Day: d.Day.String(), Days: k.o.Days,
		Shredded: d.Shredded.In(qrgate.Zone), Dropped: d.Done.In(qrgate.Zone), Checkins: d.Rows, Messages: d.Letters, People: d.People, Generation: generation,
	}
	before, err := k.certificate(ctx, d.Day)
	if err != nil && !errors.Is(err, qrgate.ErrNotFound) {
		return err
	}
	if before != nil && before.Waiting.Count() == 0 && before.Checkins == d.Rows && before.People == d.People {
		return nil // nothing more can be said
	}
	end := (d.Day + 1).Start()
	if c.Waiting, err = k.waiting(ctx, pastOf{day: d.Day, gone: d.Done, end: end, heard: end.Add(keptByKiosks)}); err != nil {
		return err
	}
	held, err := k.keyHeld(ctx, d.Day)
	if err != nil {
		return err
	}
	if held {
		c.Waiting.Copies = append(c.Waiting.Copies, KeysCopy)
	}
	if before != nil {
		same := *before
		same.Server, same.Days, same.Controller, same.Seal, same.Hash, same.Made = c.Server, c.Days, c.Controller, 0, "", time.Time{}
		if sameCertificate(same, c) {
			return nil
		}
	}
	newest, err := k.Rights.NewestSeal(ctx, 0)
	if err != nil && !errors.Is(err, qrgate.ErrNotFound) {
		return err
	}
	c.Seal, c.Hash, c.Made = newest.No, hex.EncodeToString(newest.Hash), k.o.Now().In(qrgate.Zone).Truncate(time.Second)
	file, err := proof.Sign(proof.Retention, c, k.Sign)
	if err != nil {
		return err
	}
	return k.Rights.SaveCertificate(ctx, &rights.Certificate{Day: d.Day, Waiting: c.Waiting.Count(), Body: file})
}

// sameCertificate compares what two certificates say. When a kiosk was heard of is
// not news as long as it is the same kiosk.
func sameCertificate(a, b Certificate) bool {
	plain := func(c Certificate) Certificate {
		c.Shredded, c.Dropped = time.Time{}, time.Time{}
		c.Waiting.Kiosks = slices.Clone(c.Waiting.Kiosks)
		for i := range c.Waiting.Kiosks {
			c.Waiting.Kiosks[i].Heard, c.Waiting.Kiosks[i].Queued = time.Time{}, 0
		}
		c.Waiting.Backups = slices.Clone(c.Waiting.Backups)
		for i := range c.Waiting.Backups {
			b := &c.Waiting.Backups[i]
			b.Made, b.Until = time.UnixMilli(b.Made.UnixMilli()), time.UnixMilli(b.Until.UnixMilli())
		}
		if len(c.Waiting.Kiosks) == 0 {
			c.Waiting.Kiosks = nil
		}
		if len(c.Waiting.Backups) == 0 {
			c.Waiting.Backups = nil
		}
		if len(c.Waiting.Copies) == 0 {
			c.Waiting.Copies = nil
		}
		return c
	}
	return reflect.DeepEqual(plain(a), plain(b))
}

// certificate returns what the newest certificate of a day says.
func (k *Keeper) certificate(ctx context.Context, day qrgate.Day) (*Certificate, error) {
	kept, err := k.Rights.Certificate(ctx, day)
	if err != nil {
		return nil, err
	}
	c := new(Certificate)
	// Of another server, whose key this one may not have: then a new one is made.
	if err := proof.Open(proof.Retention, kept.Body, k.Sign.Keys(), c); err != nil {
		return nil, qrgate.ErrNotFound
	}
	return c, nil
}

// CopyID is under which a copy of the database is confirmed to hold nothing of a
// day any more.
func CopyID(name string, day qrgate.Day) string { return "copy " + name + " " + day.String() }

// KioskID is under which somebody confirms that a kiosk's storage was destroyed.
func KioskID(kiosk string) string { return "kiosk " + kiosk }

// A pastOf is what somebody may still hold something of.
type pastOf struct {
	day   qrgate.Day
	gone  time.Time // when it went from the database: no later backup holds it
	end   time.Time // no record of it is later
	heard time.Time // a kiosk that was heard of since, with nothing to deliver, holds none
}

// waiting returns who may still hold something.
func (k *Keeper) waiting(ctx context.Context, of pastOf) (w Waiting, err error) {
	if w.Backups, err = k.Backups(ctx, of.gone); err != nil {
		return w, err
	}
	for _, name := range k.o.Copies {
		gone, err := k.Rights.IsGone(ctx, CopyID(name, of.day))
		if err != nil {
			return w, err
		}
		if !gone {
			w.Copies = append(w.Copies, name)
		}
	}
	kiosks, err := k.Store.Kiosks(ctx)
	if err != nil {
		return w, err
	}
	for i := range kiosks {
		s := &kiosks[i]
		if !s.Added.Before(of.end) {
			continue // it did not exist yet
		}
		b := KioskBehind{ID: s.ID, Heard: s.Contact}
		switch {
		case s.State == qrgate.KioskRevoked:
			b.Why = Revoked
		case s.Beat == nil || s.Contact.Before(of.heard):
			b.Why = Silent
		case s.Beat.Queued > 0:
			b.Why, b.Queued = Queued, s.Beat.Queued
		default:
			continue
		}
		gone, err := k.Rights.IsGone(ctx, KioskID(s.ID))
		if err != nil {
			return w, err
		}
		if !gone {
			w.Kiosks = append(w.Kiosks, b)
		}
	}
	return w, nil
}

// Backups returns the backups that were made before a time and are not known to
// be gone: those in the folder, and verified ones that lie elsewhere.
func (k *Keeper) Backups(ctx context.Context, before time.Time) ([]Backup, error) {
	all, err := k.backupFiles()
	if err != nil {
		return nil, err
	}
	copies, err := k.Rights.Copies(ctx, 1000)
	if err != nil {
		return nil, err
	}
	for _, c := range copies {
		if !c.Gone.IsZero() || slices.ContainsFunc(all, func(b Backup) bool { return b.ID == c.ID }) {
			continue
		}
		all = append(all, Backup{ID: c.ID, Made: c.Made, Until: c.Made.Add(time.Duration(k.o.BackupDays) * 24 * time.Hour)})
	}
	all = slices.DeleteFunc(all, func(b Backup) bool { return !b.Made.Before(before) })
	slices.SortFunc(all, func(a, b Backup) int { return b.Made.Compare(a.Made) })
	return all, nil
}
