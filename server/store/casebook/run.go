package casebook

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/trace"
)

// A Task says whom or what to trace.
type Task struct {
	Case     string // id
	Profile  trace.Profile
	From, To time.Time
	// Persons is the index under everything that they are known as, or of a second
	// ring the contact. Of an outbreak at a place nobody is, and At says where.
	Persons []qrgate.Person
	At      qrgate.Spot
	Ring    int         // 1, or 2
	Of      Ref         // of a second ring: the contact; else the zero Ref
	Chosen  []trace.ID  // check-ins of the stays that count; empty for all
	Left    []trace.ID  // check-ins of those that do not, as an officer said who saw them
	Rules   trace.Rules // what the officers said of doubtful check-ins
}

// Counts reports whether a stay of the index is among those that count. One that
// nobody knew when they chose came late, and counts until somebody leaves it out.
func (t *Task) Counts(s *trace.Stay) bool {
	of := func(ids []trace.ID) bool {
		return slices.ContainsFunc(ids, func(id trace.ID) bool { return id != (trace.ID{}) && (id == s.Entry || id == s.Exit) })
	}
	// A late check-in may have given an entry to a stay that was chosen by its exit.
	return len(t.Chosen) == 0 || of(t.Chosen) || len(t.Left) > 0 && !of(t.Left)
}

// Task returns what a case traces, and writes down that it is. The error is
// [ErrApproval] while nobody has approved it, and [qrgate.ErrInvalid] before it
// says who or where.
func (b *Book) Task(ctx context.Context, by, id string) (*Task, error) {
	return b.task(ctx, by, id, b.persons, Ref{})
}

// Second returns the task of a second ring: who met a contact. Of the zero Ref it is
// that of the first: see [Book.Task].
func (b *Book) Second(ctx context.Context, by, id string, contact Ref) (*Task, error) {
	return b.task(ctx, by, id, b.persons, contact)
}

func (b *Book) task(ctx context.Context, by, id string, load func(q query, by, id string) (*file, error), contact Ref) (*Task, error) {
	var task *Task
	err := b.write(ctx, "task", func(t store.Tx) error {
		f, err := load(t.Each, by, id)
		if err == nil {
			task, err = b.taskOf(t.Each, f, contact)
		}
		if err != nil {
			return err
		}
		if len(task.Persons) == 0 {
			return t.Audit(by, "trace place", object(id), "")
		}
		return b.seen(t, "trace person", by, id, task.Persons...)
	})
	return task, err
}

// rules returns what officers have decided about doubtful check-ins.
func (f *file) rules() trace.Rules {
	r := trace.Rules{Restored: map[trace.ID]bool{}}
	for _, c := range f.body.Restored {
		r.Restored[c] = true
	}
	return r
}

func (b *Book) taskOf(q query, f *file, contact Ref) (*Task, error) {
	profile, ok := trace.FindProfile(f.Profile)
	if !ok {
		return nil, fmt.Errorf("profile %q: %w", f.Profile, qrgate.ErrNotFound)
	}
	task := &Task{
		Case: f.ID, Profile: profile, From: f.Case.From, To: f.Case.To, Ring: 1, Chosen: f.body.Chosen, Left: f.body.Left,
		Rules: f.rules(),
	}
	who := f.body.Index
	if contact != (Ref{}) {
		p, err := f.person(contact)
		if err != nil {
			return nil, err
		}
		who, task.Ring, task.Of, task.Chosen, task.Left = p, 2, contact, nil, nil
	}
	switch {
	case who != 0:
		if err := b.mayUse(q, f, who); err != nil {
			return nil, err
		}
		pairs, err := b.same(q, f)
		task.Persons = selves(who, pairs)
		return task, err
	case f.body.Place != (qrgate.Spot{}):
		task.At = f.body.Place
		return task, nil
	}
	return nil, fmt.Errorf("nobody is to be traced: %w", qrgate.ErrInvalid)
}

// Choose says which stays of the index count, by their check-ins, and which others do
// not: see [Task.Counts]. None chosen is all.
func (b *Book) Choose(ctx context.Context, by, id string, version int, stays []trace.ID, others ...trace.ID) error {
	return b.change(ctx, "choose stays", by, id, version, b.persons, func(t store.Tx, f *file) (string, error) {
		if len(stays)+len(others) > maxChosen {
			return "", ErrTooMany
		}
		f.body.Chosen, f.body.Left = stays, others
		return fmt.Sprint(len(stays)), nil
	})
}

// Restore says that check-ins count although they are doubtful, or that they do not
// after all.
func (b *Book) Restore(ctx context.Context, by, id string, version int, counts bool, checkins ...trace.ID) error {
	action := "restore check-in"
	if !counts {
		action = "doubt check-in"
	}
	meant := map[trace.ID]bool{}
	for _, c := range checkins {
		meant[c] = true
	}
	return b.change(ctx, action, by, id, version, b.persons, func(t store.Tx, f *file) (string, error) {
		f.body.Restored = slices.DeleteFunc(f.body.Restored, func(c trace.ID) bool { return meant[c] })
		if counts {
			f.body.Restored = append(f.body.Restored, checkins...)
		}
		if len(f.body.Restored) > maxChosen {
			return "", ErrTooMany
		}
		return fmt.Sprint(len(checkins)), nil
	})
}

// maxChosen bounds what one case remembers of check-ins.
const maxChosen = 10_000

// A Result is what a tracing has come to.
type Result struct {
	Ring  int          // of the task
	Of    Ref          // of the task
	Place bool         // an outbreak at a place: whoever stayed there is found, and nobody else
	Stays []trace.Stay // that were traced, or everybody's who was at the place
	Found trace.Found
	// Linger is how long after the traced person left still counted, in milliseconds; of
	// runs of an older version, which did not keep it, 0.
	Linger int64
	// Completeness is what was not known, in the caller's own form.
	Completeness []byte
	// Read is what the tracer read through, so that late check-ins are noticed. It
	// may be nil, and then they are not.
	Read *Recorder `cbor:"-"`
	// Task is what was traced, so that a run under what officers have changed since is
	// not kept as if it were what the case says. It may be nil, and then it is not known.
	Task *Task `cbor:"-"`
}

// current is ErrOutdated unless a case still traces what a task said.
func (b *Book) current(q query, f *file, was *Task) error {
	now, err := b.taskOf(q, f, was.Of)
	if err == nil && !reflect.DeepEqual(now, was) {
		err = ErrOutdated
	}
	return err
}

// A Run is one tracing of a case as it was.
type Run struct {
	No int // from 1
	At time.Time
	By string // account, empty if the server traced again
	Result
	Difference Difference
	// Withheld is how many it found whose data the case must not use, and who are
	// not in Result and Difference.
	Withheld int

	f *file
}

// A Difference is what a run found other than the run before it of the same ring
// and person.
type Difference struct {
	Since   int // number of the run before, 0 if there was none
	New     []qrgate.Person
	Gone    []qrgate.Person
	Changed []qrgate.Person // met for longer or shorter, elsewhere, or more surely
}

// Empty reports whether nothing is different.
func (d *Difference) Empty() bool { return len(d.New)+len(d.Gone)+len(d.Changed) == 0 }

// Ref returns how the case's pages name a person of the run.
func (r *Run) Ref(p qrgate.Person) Ref { return r.f.ref(p) }

// Refs returns everybody whom the run found, in its order.
func (r *Run) Refs() []Ref {
	var all []Ref
	for _, p := range r.persons() {
		all = append(all, r.Ref(p))
	}
	return all
}

// persons returns whom a result found.
func (r *Result) persons() []qrgate.Person {
	var all []qrgate.Person
	for _, c := range r.contacts() {
		all = append(all, c.Person)
	}
	return all
}

// sealedRun is what is sealed of a run.
type sealedRun struct {
	Result     Result
	Difference Difference
}

// SaveRun keeps what a tracing found, compared with the run before of the same ring
// and person. What that one found on days whose keys are gone since is kept on.
// Contacts who are one human become one contact. That check-ins came
// late is no longer said of the case. The error is [ErrOutdated] if the case traces
// something else by now.
func (b *Book) SaveRun(ctx context.Context, by, id string, r *Result) (*Run, error) {
	return b.saveRun(ctx, by, id, r, b.persons)
}

func (b *Book) saveRun(ctx context.Context, by, id string, r *Result, load func(q query, by, id string) (*file, error)) (*Run, error) {
	if r.Ring != 1 && r.Ring != 2 || (r.Ring == 2) != (r.Of != Ref{}) {
		return nil, fmt.Errorf("casebook: save run: ring: %w", qrgate.ErrInvalid)
	}
	var run *Run
	var err error
	for range 3 {
		if run, err = b.trySaveRun(ctx, by, id, r, load); !errors.Is(err, ErrChanged) {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("casebook: save run: %w", err)
	}
	return run, nil
}

// trySaveRun compares and seals outside of the transaction: of some thousand
// contacts it takes so long that check-ins would wait. The error is [ErrChanged] if
// the case has changed meanwhile.
func (b *Book) trySaveRun(ctx context.Context, by, id string, r *Result, load func(q query, by, id string) (*file, error)) (*Run, error) {
	q := b.reading(ctx)
	f, err := load(q, by, id)
	if err != nil {
		return nil, err
	}
	kept := *r
	before, err := b.lastRun(q, f, r.Ring, r.Of)
	if err != nil {
		return nil, err
	}
	if before != nil {
		keyed, err := b.v.Days()
		if err != nil {
			return nil, err
		}
		if len(keyed) > 0 {
			f.keep(&before.Result, &kept, keyed[0])
		}
	}
	if err := b.join(q, f, &kept); err != nil {
		return nil, err
	}
	run := &Run{No: f.Runs + 1, At: b.now().Truncate(time.Millisecond), By: by, Result: kept, f: f}
	since := 0
	if before != nil {
		run.Difference, since = differ(before, run), before.No
	}
	sealed, err := seal(f.key, fieldRun(run.No), sealedRun{kept, run.Difference})
	if err != nil {
		return nil, err
	}
	var fingerprint any
	began := run.At
	if r.Read != nil {
		began = r.Read.began
		if fingerprint, err = seal(f.key, fieldFingerprint(run.No), r.Read.readings()); err != nil {
			return nil, err
		}
	}
	err = b.s.Write(ctx, func(t store.Tx) error {
		now, err := load(t.Each, by, id)
		if err != nil {
			return err
		}
		if now.Version != f.Version {
			return ErrChanged
		}
		if r.Task != nil {
			if err := b.current(t.Each, now, r.Task); err != nil {
				return err
			}
		}
		// What an older run read is read by this one too.
		if _, err := t.Exec("UPDATE case_runs SET fingerprint = NULL WHERE case_id = ? AND no = ?", id, since); err != nil {
			return err
		}
		_, err = t.Exec("INSERT INTO case_runs (case_id, no, made, made_by, ring, reference, began, sealed, fingerprint) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
			id, run.No, run.At.UnixMilli(), by, r.Ring, r.Of[:], began.UnixMilli(), sealed, fingerprint)
		if err != nil {
			return err
		}
		now.Runs, now.Late = run.No, time.Time{}
		if err := b.save(t, now); err != nil {
			return err
		}
		if by == "" && !run.Difference.Empty() {
			officers, err := b.workers(t, f)
			if err == nil {
				err = b.tell(t, id, Different, officers...)
			}
			if err != nil {
				return err
			}
		}
		return t.Audit(by, "keep run", object(id), fmt.Sprintf("run %d, ring %d, %d found", run.No, run.Ring, len(kept.persons())))
	})
	if err != nil {
		return nil, err
	}
	restrained, err := b.restraints(q, f)
	run.withhold(restrained)
	return run, err
}

// A RunHead is when a case was traced.
type RunHead struct {
	No   int
	At   time.Time
	By   string // account, empty if the server traced again
	Ring int
	Of   Ref // of a second ring
}

// Runs returns when a case was traced, the latest first.
func (b *Book) Runs(ctx context.Context, by, id string) ([]RunHead, error) {
	q := b.reading(ctx)
	_, err := b.persons(q, by, id)
	var all []RunHead
	if err == nil {
		err = q(func(rows *sql.Rows) error {
			var r RunHead
			var of []byte
			err := rows.Scan(&r.No, (*store.Milli)(&r.At), &r.By, &r.Ring, &of)
			copy(r.Of[:], of)
			all = append(all, r)
			return err
		}, "SELECT no, made, made_by, ring, reference FROM case_runs WHERE case_id = ? ORDER BY no DESC", id)
	}
	if err != nil {
		return nil, fmt.Errorf("casebook: runs: %w", err)
	}
	return all, nil
}

// Run returns what a run found, and writes down that it was looked at. Number 0 is
// the latest of the first ring.
func (b *Book) Run(ctx context.Context, by, id string, no int) (*Run, error) {
	q := b.reading(ctx)
	f, err := b.persons(q, by, id)
	var run *Run
	switch {
	case err != nil:
	case no == 0:
		run, err = b.lastRun(q, f, 1, Ref{})
	default:
		run, err = b.run(q, f, no)
	}
	if err == nil && run == nil {
		err = qrgate.ErrNotFound
	}
	if err == nil {
		err = b.withhold(q, f, run)
	}
	if err == nil {
		err = b.s.Write(ctx, func(t store.Tx) error { return t.Audit(by, "see contacts", object(id), fmt.Sprintf("run %d", run.No)) })
	}
	if err != nil {
		return nil, fmt.Errorf("casebook: run: %w", err)
	}
	return run, nil
}

// withhold takes out of a run whose data the case must not use. The error is
// [ErrRestrained] if that is whom it traced.
func (b *Book) withhold(q query, f *file, run *Run) error {
	restrained, err := b.restraints(q, f)
	if err != nil {
		return err
	}
	if restrained.withholds(f.body.Index) {
		return ErrRestrained
	}
	if run.Of != (Ref{}) {
		if p, err := f.person(run.Of); err != nil || restrained.withholds(p) {
			return cmp.Or(err, ErrRestrained)
		}
	}
	run.withhold(restrained)
	return nil
}

// run returns one run, nil if there is none of that number.
func (b *Book) run(q query, f *file, no int) (*Run, error) {
	var run *Run
	var sealed []byte
	err := q(func(rows *sql.Rows) error {
		run = &Run{No: no, f: f}
		return rows.Scan((*store.Milli)(&run.At), &run.By, &sealed)
	}, "SELECT made, made_by, sealed FROM case_runs WHERE case_id = ? AND no = ?", f.ID, no)
	if err != nil || run == nil {
		return nil, err
	}
	var kept sealedRun
	err = unseal(f.key, fieldRun(no), sealed, &kept)
	run.Result, run.Difference = kept.Result, kept.Difference
	return run, err
}

// lastRun returns the latest run of a ring around somebody, nil if there is none.
func (b *Book) lastRun(q query, f *file, ring int, of Ref) (*Run, error) {
	no := 0
	err := q(func(rows *sql.Rows) error { return rows.Scan(&no) },
		"SELECT COALESCE(MAX(no), 0) FROM case_runs WHERE case_id = ? AND ring = ? AND reference = ?", f.ID, ring, of[:])
	if err != nil || no == 0 {
		return nil, err
	}
	return b.run(q, f, no)
}
