package casebook_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/casebook"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

func TestFind(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		_, number := w.holder(an)
		wife := register.Details{Name: "Lê Thị Hoà", Born: 1950, Phone: an.Phone, Relative: true, Area: duongNo.ID, Identity: "046150009999"}
		w.holder(wife)
		w.visitor(wire.Subject{Kind: pass.Phone, Number: "+84914000111", Name: "Phạm Quốc Dũng"})
		w.visitor(wire.Subject{Kind: pass.CCCD, Number: "046090005555", Name: "Nguyễn Văn An", Born: 1990, Address: "Quảng Trị"})
		c := w.open("lan")
		for _, tt := range []struct {
			name string
			l    casebook.Lookup
			want []string
		}{
			{"card", casebook.Lookup{Kind: pass.Card, Number: strconv.Itoa(int(number))}, []string{an.Name}},
			{"card as it is printed", casebook.Lookup{Kind: pass.Card, Number: fmt.Sprintf("%010d", number)}, []string{an.Name}},
			{"identity card", casebook.Lookup{Kind: pass.CCCD, Number: an.Identity}, []string{an.Name}},
			{"insurance", casebook.Lookup{Kind: pass.BHYT, Number: an.Insurance}, []string{an.Name}},
			{"insurance as the card says", casebook.Lookup{Kind: pass.BHYT, Number: "DN446" + an.Insurance}, []string{an.Name}},
			{"phone", casebook.Lookup{Kind: pass.Phone, Number: an.Phone}, []string{an.Name}},
			{"phone of a household", casebook.Lookup{Kind: pass.Phone, Number: an.Phone, Thorough: true}, []string{an.Name, wife.Name}},
			{"phone and name", casebook.Lookup{Kind: pass.Phone, Number: an.Phone, Name: "lê thị hoà"}, []string{wife.Name}},
			{"visitor's phone", casebook.Lookup{Kind: pass.Phone, Number: "+84914000111"}, []string{"Phạm Quốc Dũng"}},
			{"name", casebook.Lookup{Name: "nguyen  van an", Born: 1948}, []string{an.Name}},
			{"name, another commune", casebook.Lookup{Name: "Le Thi Hoa", Born: 1950}, []string{wife.Name}},
			{"name, wrong year", casebook.Lookup{Name: an.Name, Born: 1949}, nil},
			{"name of a visitor", casebook.Lookup{Name: "Nguyễn Văn An", Born: 1990, Thorough: true}, []string{an.Name}},
			{"name of a visitor by phone", casebook.Lookup{Name: "Pham Quoc Dung", Born: 1971, Thorough: true}, []string{"Phạm Quốc Dũng"}},
			{"nobody", casebook.Lookup{Kind: pass.CCCD, Number: "046048009999"}, nil},
			{"a name as a pattern", casebook.Lookup{Name: "% %", Born: 1948, Thorough: true}, nil},
		} {
			cards, err := w.Find(t.Context(), "lan", c.ID, tt.l)
			var got []string
			for _, card := range cards {
				got = append(got, card.Name)
			}
			slices.Sort(got)
			slices.Sort(tt.want)
			if d := cmp.Diff(tt.want, got); d != "" || err != nil {
				t.Errorf("%s: (-want +got):\n%s%v", tt.name, d, err)
			}
		}
		for name, l := range map[string]casebook.Lookup{
			"nothing": {}, "name alone": {Name: an.Name}, "year alone": {Born: 1948}, "half a name": {Name: "An", Born: 1948},
			"no card": {Kind: pass.Card, Number: "0"}, "half a card": {Kind: pass.Card, Number: "12x"}, "another pass": {Kind: pass.HC1, Number: "x"}, "long": {Kind: pass.CCCD, Number: strings.Repeat("9", 65)},
		} {
			_, err := w.Find(t.Context(), "lan", c.ID, l)
			w.refuses(name, err, qrgate.ErrInvalid)
		}
		for _, e := range w.audit(register.AuditQuery{}) {
			text := fmt.Sprint(e)
			for _, secret := range []string{an.Identity, an.Insurance, an.Phone, "Nguyễn", "nguyen", "Phạm", "046048009999"} {
				if strings.Contains(text, secret) {
					t.Errorf("an audit row says %q: %s", secret, text)
				}
			}
		}
		if rows := w.audit(register.AuditQuery{Action: "look for person"}); len(rows) != 16 {
			t.Errorf("%d look-ups were written down, want 16: those that found nobody too", len(rows))
		}
	})
}

// An officer who tries numbers is stopped, whichever cases they name; others are not.
func TestGuessingIsLimited(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		a, b := w.open("lan"), w.open("lan")
		guess := func(by string, i int) error {
			_, err := w.Find(ctx, by, []string{a.ID, b.ID}[i%2], casebook.Lookup{Kind: pass.CCCD, Number: fmt.Sprintf("04604800%04d", i)})
			return err
		}
		for i := range casebook.LookupsPerHour {
			w.must(guess("lan", i))
			w.pass(time.Minute)
		}
		w.refuses("one more", guess("lan", 99), casebook.ErrTooMany)
		w.must(guess("minh", 99))
		w.pass(time.Hour - casebook.LookupsPerHour*time.Minute)
		w.must(guess("lan", 100))
		w.refuses("one more again", guess("lan", 101), casebook.ErrTooMany)
	})
}

// Somebody of whom nothing is known has an empty card.
func TestCardOfNobodyKnown(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		w.holder(an)
		c := w.approved()
		run, err := w.SaveRun(t.Context(), "lan", c.ID, result(met(4711, 10)))
		w.must(err)
		cards, err := w.Cards(t.Context(), "lan", c.ID, run.Refs()...)
		if d := cmp.Diff([]casebook.Card{{Ref: run.Ref(4711)}}, cards); d != "" || err != nil {
			t.Errorf("Cards (-want +got):\n%s%v", d, err)
		}
	})
}

// Who shares a telephone or the number of a house is one household, in one case alone.
func TestHouseholds(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.holder(an)
		wife, _ := w.holder(register.Details{Name: "Lê Thị Hoà", Born: 1950, Phone: "+84914000111", Identity: "046150009999"})
		child, _ := w.holder(register.Details{Name: "Lê Văn Bé", Born: 2019, Guardian: "Lê Thị Hoà", GuardianPhone: "+84914000111", Identity: "046219009999"})
		other, _ := w.holder(register.Details{Name: "Võ Văn Tám", Born: 1980, Identity: "046080009999"})
		at := func(name, phone, street, identity string) qrgate.Person {
			p, _ := w.holder(register.Details{Name: name, Born: 1970, Phone: phone, Area: phuXuan.ID, Street: street, Identity: identity})
			return p
		}
		// Three of one house: two with a telephone each, and a third who shares the
		// second one's and says no street. Of a hamlet nobody is of one house.
		father, mother, son := at("Lý Văn Cả", "+84914000222", "7 Nguyễn Trãi", "046070000001"), at("Lý Thị Hai", "+84914000333", "số 7  nguyen trai", "046070000002"), at("Lý Văn Ba", "+84914000333", "", "046070000003")
		near, far := at("Hồ Thị Một", "", "thôn 3", "046070000004"), at("Hồ Thị Hai", "", "thôn 3", "046070000005")
		var households [2][]string
		for i := range households {
			c := w.approved()
			run, err := w.SaveRun(ctx, "lan", c.ID, result(met(wife, 10), met(other, 10), met(child, 10), met(father, 10), met(mother, 10), met(son, 10), met(near, 10), met(far, 10)))
			w.must(err)
			_, err = w.AddCalls(ctx, "lan", c.ID, run.Refs())
			w.must(err)
			calls, err := w.Calls(ctx, "lan", c.ID)
			w.must(err)
			by := map[casebook.Ref]string{}
			for _, call := range calls {
				by[call.Ref] = call.Household
			}
			households[i] = []string{by[run.Ref(wife)], by[run.Ref(child)], by[run.Ref(other)]}
			if h := households[i]; h[0] != h[1] || h[0] == h[2] || h[2] == "" {
				t.Errorf("households are %v, want mother and child together", h)
			}
			x, y, z := by[run.Ref(father)], by[run.Ref(mother)], by[run.Ref(son)]
			if x != y || y != z || x == households[i][0] || by[run.Ref(near)] == by[run.Ref(far)] {
				t.Errorf("of one house are %q, %q and %q, of a hamlet %q and %q", x, y, z, by[run.Ref(near)], by[run.Ref(far)])
			}
			// A call does not part them.
			for _, call := range calls {
				w.must(w.Called(ctx, "lan", c.ID, call.Ref, call.Version, casebook.Attempt{Status: casebook.Reached}))
			}
			again, err := w.Calls(ctx, "lan", c.ID)
			if d := cmp.Diff(len(calls), len(again)); d != "" || err != nil {
				t.Errorf("after calls (-want +got):\n%s%v", d, err)
			}
			for _, call := range again {
				if by[call.Ref] != call.Household {
					t.Errorf("after a call the household is %q, want %q", call.Household, by[call.Ref])
				}
			}
		}
		if households[0][0] == households[1][0] {
			t.Error("a household is the same in two cases")
		}
	})
}
