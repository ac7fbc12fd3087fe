package casebook_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/casebook"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/server/trace"
	"github.com/qrgate/qrgate/server/vault"
	"github.com/qrgate/qrgate/sync/pass"
)

func TestStates(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.holder(an)
		c := w.approved()
		v := c.Version
		w.refuses("no state", w.SetState(ctx, "lan", c.ID, v, "gone"), qrgate.ErrInvalid)
		w.must(w.SetState(ctx, "lan", c.ID, v, casebook.Confirmed))
		if c = w.get("lan", c.ID); c.Approval != casebook.Approved || !c.Ends.Equal(w.time().Add(casebook.Life)) {
			t.Errorf("a confirmed case is %+v", c)
		}
		w.must(w.SetState(ctx, "lan", c.ID, v+1, casebook.RuledOut))
		if c = w.get("lan", c.ID); !c.Ends.Equal(w.time().Add(casebook.Grace)) || c.Open {
			t.Errorf("a case that is ruled out is %+v", c)
		}
		_, err := w.Task(ctx, "lan", c.ID)
		w.refuses("Task", err, casebook.ErrEnded)
		_, err = w.Cards(ctx, "lan", c.ID, c.Index)
		w.refuses("Cards", err, casebook.ErrEnded)
		_, err = w.Find(ctx, "lan", c.ID, casebook.Lookup{Kind: pass.Phone, Number: an.Phone})
		w.refuses("Find", err, casebook.ErrEnded)
		w.refuses("Extend", w.Extend(ctx, "lan", c.ID, v+2, w.time().Add(casebook.Life)), casebook.ErrEnded)
		w.must(w.SetState(ctx, "lan", c.ID, v+2, casebook.Suspected))
		_, err = w.Task(ctx, "lan", c.ID)
		w.refuses("Task of what was ruled out, before it is approved again", err, casebook.ErrApproval)
		w.must(w.Extend(ctx, "lan", c.ID, v+3, c.Opened.Add(casebook.MaxLife)))
		w.refuses("Extend for ever", w.Extend(ctx, "lan", c.ID, v+4, c.Opened.Add(casebook.MaxLife+time.Second)), qrgate.ErrInvalid)
		w.must(w.SetState(ctx, "lan", c.ID, v+4, casebook.Closed))
		w.refuses("a closed case", w.SetState(ctx, "lan", c.ID, v+5, casebook.Suspected), casebook.ErrEnded)
	})
}

func TestExpire(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.holder(an)
		c, stays := w.approved(), w.open("minh")
		run, err := w.SaveRun(ctx, "lan", c.ID, result(met(5, 20)))
		w.must(err)
		_, err = w.AddCalls(ctx, "lan", c.ID, run.Refs())
		w.must(err)
		w.must(w.Extend(ctx, "minh", stays.ID, 1, w.time().Add(2*casebook.Life)))
		w.must(w.BreakGlass(ctx, "minh", stays.ID, 2, why))
		if n, err := w.Expire(ctx); n != 0 || err != nil {
			t.Errorf("Expire before the end = %d, %v", n, err)
		}
		w.pass(casebook.Life)
		// Already before it is erased.
		_, err = w.Run(ctx, "lan", c.ID, 1)
		w.refuses("Run at the end", err, casebook.ErrEnded)
		if n, err := w.Expire(ctx); n != 1 || err != nil {
			t.Errorf("Expire = %d, %v, want 1", n, err)
		}
		if n, err := w.Expire(ctx); n != 0 || err != nil {
			t.Errorf("Expire again = %d, %v", n, err)
		}
		got := w.get("lan", c.ID)
		if !got.Erased || got.State != casebook.Closed || got.Purpose != "" || got.Index != (casebook.Ref{}) || got.Number != c.Number || got.OpenedBy != "lan" {
			t.Errorf("an erased case is %+v", got)
		}
		for table, want := range map[string]int{"case_runs": 0, "case_calls": 0, "case_glasses": 1} {
			n := -1
			w.must(w.s.Read(ctx, func(rows *sql.Rows) error { return rows.Scan(&n) }, "SELECT COUNT(*) FROM "+table))
			if n != want {
				t.Errorf("%s has %d rows, want %d", table, n, want)
			}
		}
		_, err = w.Cards(ctx, "lan", c.ID, run.Refs()...)
		w.refuses("Cards", err, casebook.ErrEnded)
		w.refuses("SetState", w.SetState(ctx, "lan", c.ID, got.Version, casebook.Confirmed), casebook.ErrEnded)
		w.refuses("Decide", w.Decide(ctx, "duc", c.ID, got.Version, true), casebook.ErrEnded)
		if late, err := w.Watch(ctx, &rows{}, casebook.WatchOptions{Full: true}); late != nil || err != nil {
			t.Errorf("Watch = %v, %v", late, err)
		}

		// Somebody looked without approval: that can be reviewed after the end too.
		w.pass(casebook.Life)
		if n, err := w.Expire(ctx); n != 1 || err != nil {
			t.Errorf("Expire of the other = %d, %v", n, err)
		}
		glasses, err := w.Glasses(ctx, "mai", true)
		if len(glasses) != 1 || glasses[0].Reason != "" || err != nil {
			t.Fatalf("Glasses = %+v, %v", glasses, err)
		}
		w.must(w.Review(ctx, "mai", glasses[0].ID, true, "Hợp lý, gấp thật"))
		if rows := w.audit(register.AuditQuery{Action: "erase case"}); len(rows) != 2 {
			t.Errorf("audit rows: %v", rows)
		}
	})
}

func TestLists(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.holder(an)
		open := func(by string, scope qrgate.Scope) string {
			w.pass(time.Minute)
			c, err := w.Open(ctx, by, casebook.Opening{State: casebook.Suspected, Profile: "measles", Purpose: why, Scope: scope})
			w.must(err)
			return c.ID
		}
		a, b, c, d := open("lan", phuXuan), open("hoa", duongNo), open("tinh", qrgate.All), open("minh", phuXuan)
		w.must(w.SetState(ctx, "minh", d, 1, casebook.Confirmed))
		w.must(w.Extend(ctx, "lan", a, 1, w.time().Add(time.Hour)))
		for _, tt := range []struct {
			name  string
			by    string
			q     casebook.Query
			want  []string
			total int
		}{
			{"of an area", "lan", casebook.Query{}, []string{d, a}, 2},
			{"of another area", "hoa", casebook.Query{}, []string{b}, 1},
			{"everywhere", "tinh", casebook.Query{}, []string{d, c, b, a}, 4},
			{"a page", "tinh", casebook.Query{Page: 1, Size: 3}, []string{a}, 4},
			{"mine", "lan", casebook.Query{Mine: true}, []string{a}, 1},
			{"confirmed", "tinh", casebook.Query{States: []casebook.State{casebook.Confirmed}}, []string{d}, 1},
			{"by number", "tinh", casebook.Query{Number: " cb-2026-000002 "}, []string{b}, 1},
			{"by a short number", "tinh", casebook.Query{Number: "2"}, []string{b}, 1},
			{"by another year", "tinh", casebook.Query{Number: "CB-2025-000002"}, nil, 0},
			{"by no number", "tinh", casebook.Query{Number: "' OR 1=1 --"}, nil, 0},
			{"by number elsewhere", "lan", casebook.Query{Number: "2"}, nil, 0},
			{"that end soon", "tinh", casebook.Query{Before: w.time().Add(24 * time.Hour)}, []string{a}, 1},
			{"late", "tinh", casebook.Query{Late: true}, nil, 0},
			{"an approver", "duc", casebook.Query{}, nil, 0},
			{"an administrator", "vien", casebook.Query{}, nil, 0},
			{"nobody", "", casebook.Query{}, nil, 0},
		} {
			all, total, err := w.Cases(ctx, tt.by, tt.q)
			var got []string
			for _, c := range all {
				got = append(got, c.ID)
				if c.Purpose != "" || c.Open {
					t.Errorf("%s: %+v in a list", tt.name, c)
				}
			}
			if d := cmp.Diff(tt.want, got); d != "" || total != tt.total || err != nil {
				t.Errorf("%s: (-want +got):\n%s%d, %v", tt.name, d, total, err)
			}
		}
		// Of the whole province, for a list of old communes too.
		w.must(addAccount(w.s, "thua"))
		w.must(w.reg.GiveRole(ctx, "", "thua", qrgate.Grant{Role: qrgate.HealthOfficer, Scope: province}))
		if _, total, err := w.Cases(ctx, "thua", casebook.Query{}); total != 3 || err != nil {
			t.Errorf("within the province are %d, %v, want all but what is everywhere's", total, err)
		}
	})
}

// canaries stand in what officers and visitors say, and must not be found in what
// is stored.
var canaries = []string{
	"Nguyễn Văn An", "nguyen van an", "905123456", "046048001234", "12 Lê Lợi", "Chim Vàng Anh", "CanaryPlace", "CanaryGate", "CanaryNote", "CanaryReason", "CanaryVerdict", "CanaryPurpose",
	"canarykiosk",
}

// The database, without the vault, does not tell who a case is about, whom it
// found, or where.
func TestDatabaseTellsNothing(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		index, _ := w.holder(an)
		contact, _ := w.holder(register.Details{Name: "Chim Vàng Anh", Born: 1999, Phone: "+84905123456", Identity: "046099001234"})
		c, err := w.Open(ctx, "lan", casebook.Opening{State: casebook.Suspected, Profile: "suspected", Purpose: "CanaryPurpose " + an.Name})
		w.must(err)
		found, err := w.Find(ctx, "lan", c.ID, casebook.Lookup{Kind: pass.Phone, Number: an.Phone, Name: an.Name, Thorough: true})
		w.must(err)
		w.must(w.SetIndex(ctx, "lan", c.ID, 1, found[0].Ref))
		w.must(w.BreakGlass(ctx, "lan", c.ID, 2, "CanaryReason "+an.Phone))
		stay := trace.Stay{Person: contact, At: qrgate.Spot{Name: "CanaryPlace"}, Gate: "CanaryGate", Kiosk: "canarykiosk"}
		r := result(met(contact, 20))
		r.Found.Contacts[0].Shared[0].Stay = stay
		r.Stays, r.Completeness = []trace.Stay{{Person: index, At: stay.At}}, []byte("CanaryPlace")
		r.Read = casebook.Record(&rows{}, w.time)
		w.must(r.Read.CheckinsAt(ctx, stay.At, 0, 1, nil))
		run, err := w.SaveRun(ctx, "lan", c.ID, r)
		w.must(err)
		_, err = w.Cards(ctx, "lan", c.ID, append(run.Refs(), found[0].Ref)...)
		w.must(err)
		_, err = w.AddCalls(ctx, "lan", c.ID, run.Refs())
		w.must(err)
		w.must(w.Called(ctx, "lan", c.ID, run.Refs()[0], 1, casebook.Attempt{Status: casebook.Reached, Channel: casebook.ByPhone, Note: "CanaryNote 0905123456"}))
		w.must(w.Merge(ctx, "lan", c.ID, 4, found[0].Ref, run.Refs()[0], false))
		w.must(w.Unmerge(ctx, "lan", c.ID, 5, found[0].Ref, run.Refs()[0]))
		w.must(w.Review(ctx, "mai", w.get("mai", c.ID).Glass.ID, true, "CanaryVerdict"))

		dump := w.dump()
		if !bytes.Contains(dump, []byte(c.ID)) || !bytes.Contains(dump, []byte("lan")) {
			t.Fatal("the dump is not one")
		}
		for _, canary := range canaries {
			if bytes.Contains(bytes.ToLower(dump), bytes.ToLower([]byte(canary))) {
				t.Errorf("the database says %q", canary)
			}
		}
		// Persons are random numbers, which stand in the tables of holders alone.
		for _, table := range []string{"cases", "case_glasses", "case_runs", "case_calls", "case_notices", "audit", "merges"} {
			rows := w.rowsOf(table)
			for _, p := range []qrgate.Person{index, contact} {
				for _, form := range [][]byte{
					binary.BigEndian.AppendUint64(nil, uint64(p)), binary.LittleEndian.AppendUint64(nil, uint64(p)),
					[]byte(fmt.Sprint(uint64(p))), []byte(fmt.Sprint(int64(p))), []byte(fmt.Sprintf("%x", uint64(p))),
				} {
					if bytes.Contains(rows, form) {
						t.Errorf("table %s holds a person", table)
					}
				}
			}
		}

		// And nothing that was sealed is left once it has ended.
		sealed := w.sealed(c.ID)
		w.pass(casebook.Life)
		if n, err := w.Expire(ctx); n != 1 || err != nil {
			t.Fatalf("Expire = %d, %v", n, err)
		}
		dump = w.dump()
		for i, b := range sealed {
			if bytes.Contains(dump, b) {
				t.Errorf("what was sealed, number %d of %d bytes, is still there after the end", i, len(b))
			}
		}
		if len(sealed) < 5 {
			t.Errorf("only %d sealed values were looked for", len(sealed))
		}
	})
}

// dump returns every byte of the database's files or, where there is a server,
// every value of every table.
func (w *world) dump() []byte {
	w.t.Helper()
	if path, ok := strings.CutPrefix(w.dsn, "sqlite:"); ok {
		w.exec("UPDATE meta SET generation = generation")
		db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)")
		w.must(err)
		defer db.Close()
		// What is in the log is in the file as well then, and no longer in the log.
		_, err = db.Exec("PRAGMA wal_checkpoint(TRUNCATE)")
		w.must(err)
		files, err := filepath.Glob(path + "*")
		w.must(err)
		var all []byte
		for _, name := range files {
			b, err := os.ReadFile(name)
			w.must(err)
			all = append(all, b...)
		}
		return all
	}
	var all []byte
	var tables []string
	w.must(w.s.Read(context.Background(), func(rows *sql.Rows) error {
		var name string
		err := rows.Scan(&name)
		tables = append(tables, name)
		return err
	}, "SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()"))
	for _, table := range tables {
		all = append(all, w.rowsOf(table)...)
	}
	return all
}

// rowsOf returns every value of a table.
func (w *world) rowsOf(table string) []byte {
	w.t.Helper()
	var all []byte
	w.must(w.s.Read(context.Background(), func(rows *sql.Rows) error {
		columns, err := rows.Columns()
		if err != nil {
			return err
		}
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			return err
		}
		for _, v := range values {
			if b, ok := v.([]byte); ok {
				all = append(all, b...)
			} else {
				all = fmt.Append(all, v)
			}
			all = append(all, '\n')
		}
		return nil
	}, "SELECT * FROM "+table))
	return all
}

// sealed returns the key of a case and what is sealed under it.
func (w *world) sealed(id string) [][]byte {
	w.t.Helper()
	var all [][]byte
	for _, query := range []string{
		"SELECT wrapped FROM cases WHERE id = ?", "SELECT sealed FROM cases WHERE id = ?", "SELECT sealed FROM case_runs WHERE case_id = ?",
		"SELECT fingerprint FROM case_runs WHERE case_id = ?", "SELECT sealed FROM case_calls WHERE case_id = ?", "SELECT sealed FROM case_glasses WHERE case_id = ?",
	} {
		w.must(w.s.Read(context.Background(), func(rows *sql.Rows) error {
			var b []byte
			err := rows.Scan(&b)
			if len(b) > 32 {
				b = b[:32] // a long value lies on several pages
			}
			all = append(all, b)
			return err
		}, query, id))
	}
	return all
}

// What somebody moves about in the database, or cuts, does not open in another
// one's stead.
func TestSealedValuesDoNotMove(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.holder(an)
		a, b := w.approved(), w.approved()
		run, err := w.SaveRun(ctx, "lan", a.ID, result(met(1, 10), met(2, 10)))
		w.must(err)
		_, err = w.SaveRun(ctx, "lan", a.ID, result(met(3, 10)))
		w.must(err)
		_, err = w.AddCalls(ctx, "lan", a.ID, run.Refs())
		w.must(err)
		w.exec("UPDATE case_runs SET sealed = (SELECT sealed FROM case_runs WHERE no = 1) WHERE no = 2")
		_, err = w.Run(ctx, "lan", a.ID, 2)
		w.refuses("a run in another's place", err, vault.ErrDetail)
		w.exec("UPDATE case_calls SET sealed = (SELECT sealed FROM case_calls ORDER BY reference LIMIT 1)")
		_, err = w.Calls(ctx, "lan", a.ID)
		w.refuses("a call in another's place", err, vault.ErrDetail)
		for name, statement := range map[string]string{
			"another case's contents": "UPDATE cases SET sealed = (SELECT sealed FROM cases WHERE id = '" + b.ID + "')",
			"another case's key":      "UPDATE cases SET wrapped = (SELECT wrapped FROM cases WHERE id = '" + b.ID + "')",
			"cut":                     "UPDATE cases SET sealed = SUBSTR(sealed, 1, 20)",
			"nothing":                 "UPDATE cases SET sealed = NULL",
		} {
			w.exec(statement + " WHERE id = '" + a.ID + "'")
			_, err = w.Case(ctx, "lan", a.ID)
			w.refuses(name, err, vault.ErrDetail)
		}
		if _, err := w.Case(ctx, "lan", b.ID); err != nil {
			t.Errorf("the other case: %v", err)
		}
	})
}
