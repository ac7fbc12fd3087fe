package guard

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/qrgate/qrgate/device/kiosk"
	"github.com/qrgate/qrgate/device/order"
	"github.com/qrgate/qrgate/sync/wire"
	"github.com/qrgate/qrgate/sync/words"
)

// home shows the door to a guard, and to whoever is none what to do.
func (g *Guard) home(q *request) {
	switch {
	case q.signed:
		g.render(q, http.StatusOK, "door", data{D: g.look(q.lang)})
	case q.secret != "":
		g.render(q, http.StatusOK, "pin", data{})
	default:
		g.render(q, http.StatusForbidden, "alone", data{})
	}
}

// How often a page that follows hears of the kiosk: on each judgment, but not more often
// than often, and at all events after seldom.
const (
	often  = 500 * time.Millisecond
	seldom = 5 * time.Second
)

// follow sends the part of the page that changes, whenever it does.
func (g *Guard) follow(q *request) {
	if !q.signed {
		http.Error(q.w, "no session", http.StatusForbidden)
		return
	}
	select {
	case g.streams <- struct{}{}:
		defer func() { <-g.streams }()
	default:
		q.w.Header().Set("Retry-After", "30")
		http.Error(q.w, "too many pages follow", http.StatusServiceUnavailable)
		return
	}
	q.w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(q.w)
	sent := map[string]string{}
	for {
		if _, ok := g.sessions.of(q.in.id, false, time.Now()); !ok || !g.phones.known(q.secret) {
			fmt.Fprint(q.w, "event: over\ndata: \n\n")
			return
		}
		changed := g.journal.Changed()
		said := "event: here\ndata: \n\n"
		v := g.look(q.lang)
		for _, part := range []string{"top", "rest"} {
			now, err := g.live(q.lang, part, v)
			if err != nil {
				g.Log.Error("guard's page", "err", err)
				return
			}
			if now != sent[part] {
				said += "event: " + part + "\ndata: " + strings.ReplaceAll(now, "\n", "\ndata: ") + "\n\n"
				sent[part] = now
			}
		}
		out.SetWriteDeadline(time.Now().Add(2 * seldom)) // or somebody who never reads keeps the place
		if _, err := q.w.Write([]byte(said)); err != nil {
			return
		}
		if err := out.Flush(); err != nil {
			return
		}
		if !pause(q.Context(), often, nil) || !pause(q.Context(), seldom, changed) {
			return
		}
	}
}

// pause waits for a time, until woken is closed, or until ctx ends, which is false.
func pause(ctx context.Context, d time.Duration, woken <-chan struct{}) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-woken:
	case <-t.C:
	}
	return true
}

// live returns one of the parts of the page that change.
func (g *Guard) live(lang words.Lang, part string, v view) (string, error) {
	var b bytes.Buffer
	err := pages["door"].ExecuteTemplate(&b, part, data{Lang: lang, D: v})
	return b.String(), err
}

// admit lets somebody through by hand.
func (g *Guard) admit(q *request) {
	code, none := "", q.PostForm.Get("none") != ""
	if !none {
		var ok bool
		if code, ok = readCode(q.PostForm.Get("code")); !ok {
			g.render(q, http.StatusUnprocessableEntity, "entry", data{Wrong: say(q.lang, "entry.empty"), Typed: q.PostForm})
			return
		}
	}
	var a kiosk.Answer
	var failed error
	_, err := g.Orders.Guard(q.Context(), wire.OrderEntry, func(ctx context.Context) order.Outcome {
		if a, failed = g.Door.Admit(ctx, code); failed != nil {
			return order.Failed(failed)
		}
		switch a.State {
		case words.Admitted, words.Leaving, words.Amber:
			return order.Outcome{}
		}
		return order.Outcome{State: wire.OrderRefused, Reason: a.Reason}
	})
	if err != nil {
		g.broken(err)
	}
	if failed != nil || err != nil {
		g.wrong(q, http.StatusServiceUnavailable, "error.disk")
		return
	}
	wrong := ""
	switch a.State {
	case words.Admitted, words.Leaving:
		g.goTo(q, "/", notice{Key: "entry.done", Args: []string{"said", words.Door(q.lang, a.State).Head}})
		return
	case words.Amber:
		g.goTo(q, "/", notice{Key: "entry.amber", Bad: true})
		return
	case words.Again:
		wrong = say(q.lang, "entry.again")
	default:
		wrong = say(q.lang, "entry.refused", "why", answerHead(q.lang, a))
	}
	g.render(q, http.StatusConflict, "entry", data{Wrong: wrong, Typed: q.PostForm})
}

// answerHead says why the door has not let somebody in.
func answerHead(lang words.Lang, a kiosk.Answer) string {
	switch {
	case a.Reason == wire.ReasonMalformed:
		return words.Of(lang, words.TypedWrong)
	case a.Reason != wire.NoReason:
		return words.Reason(lang, a.Reason).Head
	}
	return words.Door(lang, a.State).Head
}

func (g *Guard) undoPage(q *request) {
	g.render(q, http.StatusOK, "undo", data{D: g.look(q.lang)})
}

// undo takes back the check-in that the guard has seen on the page, and no later one.
func (g *Guard) undo(q *request) {
	seq, err := strconv.ParseUint(q.PostForm.Get("seq"), 10, 64)
	if err != nil {
		g.wrong(q, http.StatusBadRequest, "error.form")
		return
	}
	out, err := g.Orders.Guard(q.Context(), wire.OrderUndo, func(context.Context) order.Outcome {
		if err := g.Door.UndoThat(seq, time.Now()); err != nil {
			return order.Cannot(err.Error())
		}
		return order.Outcome{Undone: seq}
	})
	g.ended(q, err, notice{Key: "undo.done"}, out.State == wire.OrderDone, notice{Key: "undo.late", Bad: true})
}

// ended goes back to the door, which says what became of an act.
func (g *Guard) ended(q *request, err error, done notice, well bool, not notice) {
	switch {
	case err != nil:
		g.broken(err)
		g.wrong(q, http.StatusServiceUnavailable, "error.disk")
	case well:
		g.goTo(q, "/", done)
	default:
		g.goTo(q, "/", not)
	}
}

// count sets the number of people inside.
func (g *Guard) count(q *request) {
	people, ok := readPeople(q.PostForm.Get("people"))
	change := 0
	out, err := order.Outcome{State: wire.OrderRefused}, error(nil)
	if ok {
		out, err = g.Orders.Guard(q.Context(), wire.OrderCount, func(context.Context) order.Outcome {
			var err error
			if change, err = g.Door.SetInside(people); err != nil {
				return order.Cannot(err.Error())
			}
			return order.Outcome{Count: int64(change)}
		})
	}
	if err == nil && out.State != wire.OrderDone {
		g.render(q, http.StatusUnprocessableEntity, "count", data{Wrong: say(q.lang, "count.bad", "most", strconv.Itoa(kiosk.MaxChange)), Typed: q.PostForm})
		return
	}
	g.ended(q, err, notice{Key: "count.done", Args: []string{"change", fmt.Sprintf("%+d", change)}}, true, notice{})
}

// A tested is one line of a self-test. What was found in detail is for the portal, which
// can order the same test.
type tested struct {
	Name string
	OK   bool
	Do   string
}

// test tries every part.
func (g *Guard) test(q *request) {
	out, err := g.Orders.Guard(q.Context(), wire.OrderSelfTest, g.SelfTest)
	if err != nil {
		g.broken(err)
		g.wrong(q, http.StatusServiceUnavailable, "error.disk")
		return
	}
	var all []tested
	for _, c := range out.Checks {
		key := "check." + c.Name
		if say(q.lang, key) == "" {
			key = "check.other"
		}
		one := tested{Name: say(q.lang, key), OK: c.OK}
		if !c.OK {
			one.Do = say(q.lang, key+".do")
		}
		all = append(all, one)
	}
	g.render(q, http.StatusOK, "test", data{D: struct {
		Checks []tested
		Bad    bool
	}{all, out.Faulty || out.State != wire.OrderDone}})
}

// How much the page writes into the ledger in which time: a telephone that is stuck must
// not stand in the door's way to its disk.
const (
	mostActs = 60
	actTime  = time.Minute
)

// How many difficulties the page takes in which time: one that is stuck on a button must
// not fill the ledger.
const (
	mostReports = 6
	reportTime  = 10 * time.Minute
)

// report keeps a difficulty in the ledger, which takes it to the server.
func (g *Guard) report(q *request) {
	again := func(status int, key string) {
		g.render(q, status, "report", data{Wrong: say(q.lang, key), Typed: q.PostForm})
	}
	d, ok := readDifficulty(q.PostForm)
	switch {
	case !ok:
		again(http.StatusUnprocessableEntity, "report.bad")
		return
	case !g.reports.take(mostReports, reportTime, time.Now()):
		again(http.StatusTooManyRequests, "report.many")
		return
	}
	if err := g.Door.Report(d); err != nil {
		g.Log.Error("difficulty not recorded", "err", err)
		g.wrong(q, http.StatusServiceUnavailable, "error.disk")
		return
	}
	g.goTo(q, "/", notice{Key: "report.done"})
}

// A rollCall is what its page shows.
type rollCall struct {
	Made   string
	Sure   bool
	Inside string
	Known  bool // Inside is by all gates
	Here   int
	How    []string // how complete it is
	Rows   []rollRow
}

type rollRow struct{ Time, Lane, Code, Kind string }

// roll shows who came in and was not seen to leave.
func (g *Guard) roll(q *request) {
	now := g.Clock.Read()
	d := dater{now}
	r := g.journal.roll(d)
	_, _, _, known := g.Door.Inside()
	c := rollCall{Known: known, Made: time.UnixMilli(now.Wall).In(vietnam).Format("15:04 2/1/2006"), Sure: sure(now.State), Here: len(r.Rows)}
	c.Inside, _ = g.inside(q.lang)
	for _, k := range r.Rows {
		row := rollRow{timeOf(d, k.h), k.h.Gate, "", kindOf(q.lang, k.h)}
		if k.h.Lane != 0 {
			row.Lane += "·" + strconv.Itoa(int(k.h.Lane))
		}
		if len(k.code) == 8 {
			row.Code = k.code[:4] + " " + k.code[4:]
		}
		c.Rows = append(c.Rows, row)
	}
	c.How = g.complete(q.lang, r, known)
	// It is shown whatever the disk says, and however often: somebody may be in there.
	if !g.acts.take(mostActs, actTime, time.Now()) {
		g.Log.Warn("guard's page: too much at once, roll not recorded")
	} else if _, err := g.Orders.Guard(q.Context(), wire.OrderRoll, func(context.Context) order.Outcome { return order.Outcome{Count: int64(len(r.Rows))} }); err != nil {
		g.broken(err)
	}
	g.render(q, http.StatusOK, "roll", data{D: c})
}

// complete says how complete a roll is.
func (g *Guard) complete(lang words.Lang, r roll, known bool) []string {
	how := []string{say(lang, "roll.one")}
	for _, n := range []struct {
		key   string
		count int
	}{
		{"roll.out", r.Left}, {"roll.unknown", r.Unknown}, {"roll.nameless", r.Nameless - r.Gone}, {"roll.gone", r.Gone}, {"roll.unrecorded", int(g.Door.Unrecorded())},
	} {
		if n.count > 0 {
			how = append(how, say(lang, n.key, "count", strconv.Itoa(n.count)))
		}
	}
	key := "roll.server"
	switch {
	case !known:
		key = "roll.apart"
	case g.Room.Connected():
		key = "roll.exact"
	}
	return append(how, say(lang, key))
}
