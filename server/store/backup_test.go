package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/sync/wire"
)

// fill puts something into every table that a backup holds, and returns the
// kiosks.
func fill(t testing.TB, s *store.Store) []*kiosk {
	t.Helper()
	ctx := context.Background()
	var ks []*kiosk
	for i := range 3 {
		k := addKiosk(t, s, fmt.Sprintf("gate-%04d", i))
		if i == 1 {
			if err := s.MoveKiosk(ctx, k.id, dongBa); err != nil {
				t.Fatal(err)
			}
		}
		k.gate = "cổng \"chính\""
		k.scans(dawn, 100)
		k.append([]byte{0x43, 1, 2, 3}) // a dead letter
		k.scans(dawn, 200)
		k.anchor(dawn.Add(time.Hour))
		intake(t, s, dawn.Add(2*time.Hour), k.batch(k.id, 1, wire.MaxBatchRecords), k.batch(k.id, 257, 50))
		k.carry(dawn.Add(3*time.Hour), wire.OpenedMoved, 290)
		k.restart(dawn.Add(4 * time.Hour))
		k.scans(dawn.Add(4*time.Hour), 10)
		intake(t, s, dawn.Add(5*time.Hour), k.batch(k.id, 1, 15), k.batch(k.id, 20, 3)) // with a gap
		ks = append(ks, k)
	}
	if err := s.RevokeKiosk(ctx, ks[2].id); err != nil {
		t.Fatal(err)
	}
	err := s.SavePresences(ctx, []store.Presence{{
		Kiosk: ks[0].id, Online: &wire.Online{V: 1, Up: true, Session: 5}, Changed: dawn, Beat: &wire.Beat{V: 1, Release: "v1"}, Contact: dawn,
	}})
	if err != nil {
		t.Fatal(err)
	}
	err = s.Intake(ctx, nil, func(in *store.Intake) error {
		p, _, err := in.Person([16]byte{0, 1, 0xff}, func() qrgate.Person { return 1<<64 - 9 })
		if err != nil {
			return err
		}
		return in.Detail(p, []byte{}, []byte{0, 1, 2})
	})
	if err != nil {
		t.Fatal(err)
	}
	addVisit(t, s, 1, dongBa, wire.In, dawn)
	addVisit(t, s, 2, dongBa, wire.Out, dawn.Add(time.Hour))
	return ks
}

func backup(t testing.TB, s *store.Store) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := s.Backup(context.Background(), &b); err != nil {
		t.Fatalf("Backup() = %v", err)
	}
	return b.Bytes()
}

func verify(t testing.TB, b []byte) store.BackupReport {
	t.Helper()
	report, err := store.VerifyBackup(context.Background(), bytes.NewReader(b), t.TempDir())
	if err != nil {
		t.Fatalf("VerifyBackup() = %v", err)
	}
	return report
}

// contents is what the store's readers tell.
type contents struct {
	Kiosks   []store.KioskStatus
	Checkins map[string][]qrgate.Checkin
	Letters  []store.DeadLetter
	Backups  []store.VerifiedBackup
	Counts   map[uint32]store.Counts
}

// wholeCheckins compares check-ins at once, which is quicker than field by field.
var wholeCheckins = cmp.Comparer(func(a, b qrgate.Checkin) bool { return a == b })

func read(t testing.TB, s *store.Store) contents {
	t.Helper()
	ctx := context.Background()
	c := contents{Checkins: map[string][]qrgate.Checkin{"phones@server-1": checkins(t, s, "phones@server-1")}}
	var errs [4]error
	c.Kiosks, errs[0] = s.Kiosks(ctx)
	c.Letters, errs[1] = s.DeadLetters(ctx)
	c.Backups, errs[2] = s.Backups(ctx)
	c.Counts, errs[3] = s.Counts(ctx, qrgate.DayOf(dawn), dongBa.No)
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	for _, k := range c.Kiosks {
		c.Checkins[k.ID] = checkins(t, s, k.ID)
	}
	return c
}

func safeOf(t testing.TB, s *store.Store, kiosk string, epoch wire.Epoch) (safe, through uint64) {
	t.Helper()
	inBook(t, s, kiosk, func(_ *store.Intake, b *store.Book) {
		e, err := b.Epoch(epoch)
		if err != nil {
			t.Error(err)
			return
		}
		safe, through = e.Safe, e.Ledger.Through()
	})
	return safe, through
}

func TestBackupAndRestore(t *testing.T) {
	for _, from := range engines {
		for _, to := range engines {
			t.Run(from.name+" to "+to.name, func(t *testing.T) { testBackupAndRestore(t, from, to) })
		}
	}
}

func testBackupAndRestore(t *testing.T, from, to engine) {
	ctx := context.Background()
	dsn := from.dsn(t)
	s := open(t, dsn)
	ks := fill(t, s)
	generation, err := s.Generation(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.MarkSafe(ctx, verify(t, backup(t, s))); err != nil {
		t.Fatal(err)
	}
	file := backup(t, s)
	want := read(t, s)
	report := verify(t, file)
	if report.Generation != generation || report.ID == "" || len(report.Digest) != 32 || report.Rows < 900 {
		t.Errorf("VerifyBackup() = %+v, of a database of generation %d", report, generation)
	}

	restored := open(t, to.dsn(t))
	got, err := restored.Restore(ctx, bytes.NewReader(file))
	if err != nil {
		t.Fatalf("Restore() = %v", err)
	}
	if diff := cmp.Diff(report, got, cmpopts.IgnoreUnexported(report)); diff != "" {
		t.Errorf("reports of VerifyBackup and Restore (-verify +restore):\n%s", diff)
	}
	if diff := cmp.Diff(want, read(t, restored), wholeCheckins); diff != "" {
		t.Errorf("contents (-made of +restored):\n%s", diff)
	}
	if g, err := restored.Generation(ctx); err != nil || g <= generation {
		t.Errorf("Generation() = %d, %v, want more than %d", g, err, generation)
	}
	if err := restored.MarkSafe(ctx, report); !errors.Is(err, qrgate.ErrConflict) {
		t.Errorf("MarkSafe of the generation before = %v, want %v", err, qrgate.ErrConflict)
	}

	// It goes on as the other does: nothing is safe, nothing is taken twice,
	// and what is missing comes.
	for _, k := range ks {
		if safe, through := safeOf(t, restored, k.id, k.past[0].epoch); safe != 0 || through != 302 {
			t.Errorf("%s: safe %d, through %d, want 0 and 302", k.id, safe, through)
		}
		for _, s := range []*store.Store{s, restored} {
			intake(t, s, dawn.Add(9*time.Hour), k.past[0].batch(k.id, 100, 200), k.all())
			tidyAll(t, s)
		}
	}
	if diff := cmp.Diff(read(t, s), read(t, restored), wholeCheckins); diff != "" {
		t.Errorf("contents after the next intake (-made of +restored):\n%s", diff)
	}
	// Apart from read, because asking is an intake.
	if diff := cmp.Diff(answers(t, s, 3), answers(t, restored, 3)); diff != "" || len(answers(t, restored, 3)) != 2 {
		t.Errorf("answers to visits, of which there are two (-made of +restored):\n%s", diff)
	}
	inBook(t, restored, ks[0].id, func(in *store.Intake, _ *store.Book) {
		if p, isNew, err := in.Person([16]byte{0, 1, 0xff}, nil); p != 1<<64-9 || isNew || err != nil {
			t.Errorf("Person() = %d, %v, %v", p, isNew, err)
		}
	})
	if st := status(t, restored, ks[1].id); st.Checkins != 310 {
		t.Errorf("%d check-ins, want 310", st.Checkins)
	}
	if _, err := restored.Restore(ctx, bytes.NewReader(file)); !errors.Is(err, qrgate.ErrConflict) {
		t.Errorf("Restore into a database in use = %v, want %v", err, qrgate.ErrConflict)
	}
	// What was restored can be backed up and restored again.
	again := open(t, from.dsn(t))
	if _, err := again.Restore(ctx, bytes.NewReader(backup(t, restored))); err != nil {
		t.Fatalf("Restore of a restored database's backup = %v", err)
	}
	if diff := cmp.Diff(read(t, restored), read(t, again), wholeCheckins); diff != "" {
		t.Errorf("contents (-restored +restored twice):\n%s", diff)
	}
}

// A day that was given up has two keys, and some of its check-ins are known to kiosks
// alone: a backup counts as verified, and of that day nothing is safe.
func TestMarkSafeOfADayGivenUp(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		ctx := context.Background()
		s := open(t, e.dsn(t))
		k := addKiosk(t, s, "gate-0001")
		k.scans(dawn, 20)
		next := dawn.AddDate(0, 0, 1)
		k.scans(next, 20)
		intake(t, s, dawn, k.batch(k.id, 1, 20))
		intake(t, s, next.Add(time.Hour), k.batch(k.id, 21, 20))
		day := qrgate.DayOf(next)
		for _, lost := range []qrgate.Day{day, day, day - 30} {
			if err := s.Write(ctx, func(t store.Tx) error { return t.Audit("", store.GaveUpDay, "day "+lost.String(), "") }); err != nil {
				t.Fatal(err)
			}
		}
		report := verify(t, backup(t, s))
		if _, asked := report.Subjects()[day]; asked || !slices.Equal(report.GivenUp, []qrgate.Day{day}) {
			t.Errorf("given up %v, subjects of %v", report.GivenUp, report.Subjects())
		}
		if err := s.MarkSafe(ctx, report); err != nil {
			t.Fatal(err)
		}
		if got, _ := safeOf(t, s, k.id, k.epoch); got < 20 || got > 25 {
			t.Errorf("safe up to %d, want what came before that day", got)
		}
		if all, err := s.Backups(ctx); err != nil || len(all) != 1 || all[0].Verified.IsZero() {
			t.Errorf("backups are %+v, %v, want one that is verified", all, err)
		}
	})
}

// What nobody could open is not safe: of each epoch all from its first check-in on that
// holds somebody on a day without a key. Records that another epoch has brought are under
// the numbers of their own, so of that other one nothing is.
func TestMarkSafeWithoutADay(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		ctx := context.Background()
		s := open(t, e.dsn(t))
		day := qrgate.DayOf(dawn)
		two, old, brings := addKiosk(t, s, "gate-0001"), addKiosk(t, s, "gate-0002"), addKiosk(t, s, "gate-0003")
		next := dawn.AddDate(0, 0, 1)
		for _, k := range []*kiosk{two, old, brings} {
			k.scans(dawn, 20)
		}
		two.scans(next, 20)
		brings.scans(next, 20)
		brings.carry(next.Add(time.Hour), wire.OpenedFork, 30)
		intake(t, s, dawn, two.batch(two.id, 1, 20), old.all(), brings.past[0].batch(brings.id, 1, 20))
		intake(t, s, next.Add(2*time.Hour), two.batch(two.id, 21, 20), brings.past[0].batch(brings.id, 21, 9), brings.all())
		report := verify(t, backup(t, s))
		if of := report.Subjects(); len(of) != 2 || of[day][0] == (qrgate.Subject{}) || of[day+1][1] == (qrgate.Subject{}) {
			t.Fatalf("there are subjects of %v", of)
		}
		first := func(id string, of wire.Epoch) (seq uint64) { // of the second day that holds somebody
			for _, c := range checkins(t, s, id) {
				if c.Day > day && c.Epoch == of && c.Subject != (qrgate.Subject{}) && (seq == 0 || c.Seq < seq) {
					seq = c.Seq
				}
			}
			if seq < 21 {
				t.Fatalf("the second day of %s begins with record %d", id, seq)
			}
			return seq
		}
		wants := func(id string, epoch wire.Epoch, want uint64) {
			t.Helper()
			if got, _ := safeOf(t, s, id, epoch); got != want {
				t.Errorf("%s: safe up to %d, want %d", id, got, want)
			}
		}
		if err := s.MarkSafe(ctx, report.Without([]qrgate.Day{day + 1})); err != nil {
			t.Fatal(err)
		}
		wants(two.id, two.epoch, first(two.id, two.epoch)-1)
		wants(old.id, old.epoch, 20)
		wants(brings.id, brings.epoch, 0)
		wants(brings.id, brings.past[0].epoch, first(brings.id, brings.past[0].epoch)-1)
		if all, err := s.Backups(ctx); err != nil || len(all) != 1 || !all[0].Verified.IsZero() {
			t.Errorf("backups are %+v, %v, want one that is not verified", all, err)
		}
		if err := s.MarkSafe(ctx, report); err != nil {
			t.Fatal(err)
		}
		wants(two.id, two.epoch, 40)
		_, through := safeOf(t, s, brings.id, brings.epoch)
		wants(brings.id, brings.epoch, through)
		if all, err := s.Backups(ctx); err != nil || len(all) != 1 || all[0].Verified.IsZero() {
			t.Errorf("backups are %+v, %v, want one that is verified", all, err)
		}
	})
}

func TestMarkSafe(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		ctx := context.Background()
		dsn := e.dsn(t)
		s, other := open(t, dsn), open(t, dsn)
		k := addKiosk(t, s, "gate-0001")
		k.scans(dawn, 30)
		want := func(safe uint64) {
			t.Helper()
			for _, s := range []*store.Store{s, other} {
				if got, _ := safeOf(t, s, k.id, k.epoch); got != safe {
					t.Errorf("safe up to %d, want %d", got, safe)
				}
			}
		}
		intake(t, s, dawn, k.batch(k.id, 1, 10), k.batch(k.id, 15, 5))
		want(0)
		first := verify(t, backup(t, s))
		intake(t, s, dawn, k.batch(k.id, 11, 4))
		want(0)
		second := verify(t, backup(t, s))
		intake(t, s, dawn, k.all())
		for _, step := range []struct {
			report store.BackupReport
			safe   uint64
		}{{first, 10}, {second, 19}, {first, 19}, {second, 19}} {
			if err := s.MarkSafe(ctx, step.report); err != nil {
				t.Fatal(err)
			}
			want(step.safe)
		}
		intake(t, other, dawn, k.all()) // which must not lose it
		want(19)

		all, err := s.Backups(ctx)
		if err != nil || len(all) != 2 {
			t.Fatalf("Backups() = %v, %v, want two", all, err)
		}
		i := slices.IndexFunc(all, func(b store.VerifiedBackup) bool { return b.ID == second.ID })
		if b := all[max(i, 0)]; i < 0 || b.Rows != second.Rows || b.Made.UnixMilli() != second.Made || !bytes.Equal(b.Digest, second.Digest) || b.Verified.Before(b.Made) {
			t.Errorf("Backups() = %+v, want one as %+v", all, second)
		}
		strange := second
		strange.Generation++
		if err := s.MarkSafe(ctx, strange); !errors.Is(err, qrgate.ErrConflict) {
			t.Errorf("MarkSafe of another generation = %v, want %v", err, qrgate.ErrConflict)
		}
	})
}

// Kiosks deliver and servers mark while a backup is written and verified.
func TestBackupWhileInUse(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		dsn := e.dsn(t)
		s, other := open(t, dsn), open(t, dsn)
		k := addKiosk(t, s, "gate-0001")
		k.scans(dawn, 300)
		done := make(chan error)
		go func() {
			for first := 1; first <= 300; first += 10 {
				err := other.Intake(context.Background(), []string{k.id}, func(in *store.Intake) error {
					_, err := take(in, k.batch(k.id, first, 10), dawn)
					return err
				})
				if err != nil {
					done <- err
					return
				}
			}
			close(done)
		}()
		for running := true; running; {
			select {
			case err := <-done:
				if err != nil {
					t.Fatal(err)
				}
				running = false
			default:
			}
			report := verify(t, backup(t, s))
			if err := s.MarkSafe(context.Background(), report); err != nil {
				t.Fatal(err)
			}
			if safe, through := safeOf(t, s, k.id, k.epoch); safe > through || safe%10 != 0 {
				t.Errorf("safe %d, through %d", safe, through)
			}
		}
		if safe, through := safeOf(t, other, k.id, k.epoch); safe != 300 || through != 300 {
			t.Errorf("safe %d, through %d, want 300", safe, through)
		}
		if n := len(checkins(t, s, k.id)); n != 300 {
			t.Errorf("%d check-ins, want 300", n)
		}
	})
}

// A backup that is cut short or has a changed bit is refused, leaves nothing in
// the database, and nothing in the directory.
func TestDamagedBackups(t *testing.T) {
	source := open(t, sqlite.dsn(t))
	k := addKiosk(t, source, "gate-0001")
	k.scans(dawn, 20)
	k.append([]byte{0x43, 1, 2, 3})
	intake(t, source, dawn, k.all())
	good := backup(t, source)
	want := read(t, source)
	const step = 11
	onEach(t, func(t *testing.T, e engine) {
		ctx := context.Background()
		target := open(t, e.dsn(t))
		refused := func(name string, b []byte) {
			t.Helper()
			_, err := target.Restore(ctx, bytes.NewReader(b))
			if err == nil && len(b) == len(good) {
				// A few bits of a compressed stream say nothing, and which they are
				// depends on what is compressed.
				if diff := cmp.Diff(want, read(t, target), wholeCheckins); diff != "" {
					t.Fatalf("%s: Restore() = nil, contents (-made of +restored):\n%s", name, diff)
				}
				target = open(t, e.dsn(t))
				return
			}
			if !errors.Is(err, store.ErrBackup) {
				t.Fatalf("%s: Restore() = %v, want %v", name, err, store.ErrBackup)
			}
			all, err := target.Kiosks(ctx)
			if err != nil || len(all) != 0 {
				t.Fatalf("%s: Kiosks() = %v, %v, want none", name, all, err)
			}
		}
		for n := 0; n < len(good); n += step {
			refused(fmt.Sprintf("first %d of %d bytes", n, len(good)), good[:n])
		}
		for n := 0; n < len(good); n += step {
			b := slices.Clone(good)
			b[n] ^= 1 << (n % 8)
			refused(fmt.Sprintf("bit %d of byte %d", n%8, n), b)
		}
		refused("something after it", append(slices.Clone(good), 0))
		refused("itself after it", append(slices.Clone(good), good...))
		if _, err := target.Restore(ctx, bytes.NewReader(good)); err != nil {
			t.Errorf("Restore() = %v after those that were refused", err)
		}
		if diff := cmp.Diff(want, read(t, target), wholeCheckins); diff != "" {
			t.Errorf("contents (-made of +restored):\n%s", diff)
		}
	})
	dir := t.TempDir()
	for _, b := range [][]byte{good[:len(good)/2], good} {
		_, err := store.VerifyBackup(context.Background(), bytes.NewReader(b), dir)
		if whole := len(b) == len(good); whole != (err == nil) || !whole && !errors.Is(err, store.ErrBackup) {
			t.Errorf("VerifyBackup of %d of %d bytes = %v", len(b), len(good), err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("VerifyBackup left %v, %v", left, err)
	}
}

func TestRestoreOfAnEndedContext(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		source := open(t, e.dsn(t))
		fill(t, source)
		target := open(t, e.dsn(t))
		ctx, cancel := context.WithCancel(context.Background())
		// It ends when half of the file has been read.
		b := backup(t, source)
		_, err := target.Restore(ctx, &endingReader{r: bytes.NewReader(b), after: len(b) / 2, end: cancel})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Restore() = %v, want %v", err, context.Canceled)
		}
		if _, err := target.Restore(context.Background(), bytes.NewReader(b)); err != nil {
			t.Errorf("Restore() = %v", err)
		}
	})
}

// An endingReader calls end when so many bytes have been read.
type endingReader struct {
	r     *bytes.Reader
	after int
	end   func()
}

func (r *endingReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p[:min(len(p), 512)])
	if r.after -= n; r.after <= 0 {
		r.end()
	}
	return n, err
}
