package start_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/qrgate/qrgate/device/bootfile"
	"github.com/qrgate/qrgate/device/dist"
	"github.com/qrgate/qrgate/device/enrolment"
	"github.com/qrgate/qrgate/device/start"
	"github.com/qrgate/qrgate/hw/panel"
	"github.com/qrgate/qrgate/sync/guide"
	"github.com/qrgate/qrgate/sync/wire"
	"github.com/qrgate/qrgate/sync/words"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

var everything = start.Parts{Lamps: true, Buzzer: true, Sound: true}

func steps(w start.Walk, has start.Parts, events ...start.Event) (all []guide.Step) {
	for _, e := range events {
		w = w.Next(e, has)
		all = append(all, w.Step)
	}
	return all
}

func TestTheWayThrough(t *testing.T) {
	const yes, no, next, code, online, enrolled, waited = start.SaidYes, start.SaidNo, start.SaidNext, start.Scanned, start.Online, start.Enrolled, start.Waited
	for _, tt := range []struct {
		name   string
		walk   start.Walk
		has    start.Parts
		events []start.Event
		want   []guide.Step
	}{
		{"all of it", start.Begin(), everything, []start.Event{yes, online, enrolled, code, yes, yes, yes, yes, next},
			[]guide.Step{2, 3, 4, 5, 6, 7, 8, 9, 9}},
		{"lamps alone", start.Begin(), start.Parts{Lamps: true}, []start.Event{yes, next, enrolled, code, yes, yes},
			[]guide.Step{2, 3, 4, guide.LampTest, guide.Direction, guide.Ready}},
		{"nothing to try", start.Begin(), start.Parts{}, []start.Event{yes, online, enrolled, code}, []guide.Step{2, 3, 4, guide.Direction}},
		{"a code at once", start.Begin(), everything, []start.Event{enrolled}, []guide.Step{guide.Scanner}},
		{"nobody can answer for the code", start.Begin(), everything, []start.Event{yes, next, next, yes, no, code, waited},
			[]guide.Step{2, 3, 3, 3, 3, 3, 3}},
		{"an entrance that is wired as one", start.Walk{Step: guide.VoiceTest, Lang: "vi"}, start.Parts{Fixed: true}, []start.Event{yes}, []guide.Step{guide.Ready}},
		{"again", start.Repeat(), everything, []start.Event{no, online, code}, []guide.Step{2, guide.Scanner, guide.LampTest}},
		{"another network", start.Network(), everything, []start.Event{online, code, yes, start.Joined, next}, []guide.Step{2, 2, 2, 2, 2}},
		{"a lamp is dark, mended, and the tone is left", start.Walk{Step: guide.LampTest, Lang: "vi"}, everything, []start.Event{no, yes, no, next},
			[]guide.Step{guide.LampTest, guide.SoundTest, guide.SoundTest, guide.VoiceTest}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := steps(tt.walk, tt.has, tt.events...); !slices.Equal(got, tt.want) {
				t.Errorf("steps = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestWhatIsLeftIsRemembered(t *testing.T) {
	w := start.Walk{Step: guide.LampTest, Lang: words.English}
	for _, e := range []start.Event{start.SaidNo, start.SaidNo, start.SaidYes, start.SaidNo, start.SaidNext, start.SaidNo} {
		w = w.Next(e, everything)
	}
	want := start.Walk{Step: guide.Ready, Lang: words.English, Failed: []guide.Step{guide.LampTest, guide.VoiceTest}, Lane: start.Turned}
	if diff := cmp.Diff(want, w); diff != "" {
		t.Error(diff)
	}
	if v := w.Look(start.Situation{Place: "Chợ Đông Ba", Gate: "A1"}); v.Place != "Chợ Đông Ba · A1" || !strings.Contains(v.Head[0].Do, "lamps, voice") {
		t.Errorf("at the end it says %+v", v)
	}
}

// Whatever happens in whatever order, a walk goes on and never back, is over in the end,
// and survives its file.
func TestNoOrderOfEventsLeadsAstray(t *testing.T) {
	dir := t.TempDir()
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		has := start.Parts{Lamps: rapid.Bool().Draw(t, "lamps"), Buzzer: rapid.Bool().Draw(t, "buzzer"), Sound: rapid.Bool().Draw(t, "sound")}
		w := rapid.SampledFrom([]start.Walk{start.Begin(), start.Repeat(), start.Network()}).Draw(t, "begin")
		n++
		path := filepath.Join(dir, fmt.Sprint(n))
		for range rapid.IntRange(0, 30).Draw(t, "events") {
			before := w
			w = w.Next(start.Event(rapid.IntRange(1, int(start.Waited)).Draw(t, "event")), has)
			if w.Step < before.Step || w.Step > guide.Ready || before.Over && !w.Over {
				t.Fatalf("%+v, then %+v", before, w)
			}
		}
		if err := start.Write(path, w); err != nil {
			t.Fatal(err)
		}
		got, due := start.Read(path, !w.Again && w.Step <= guide.Enrol)
		if due == w.Over || due && !cmp.Equal(got, w) {
			t.Fatalf("Read = %+v, %v, want %+v", got, due, w)
		}
		for _, e := range []start.Event{start.SaidYes, start.Online, start.Enrolled, start.Waited, start.Waited} {
			w = w.Next(e, has)
		}
		if !w.Over {
			t.Fatalf("nobody comes and it is not over: %+v", w)
		}
	})
}

func TestWhoHasAWalk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "start.json")
	if w, due := start.Read(path, true); !due || w.Step != guide.Language {
		t.Errorf("a new kiosk: %+v, %v", w, due)
	}
	if w, due := start.Read(path, false); due {
		t.Errorf("a kiosk that was enrolled before there were walks: %+v", w)
	}
	write := func(w start.Walk) {
		if err := start.Write(path, w); err != nil {
			t.Fatal(err)
		}
	}
	// The power goes between the enrolment and the next step.
	write(start.Walk{Step: guide.Enrol, Lang: words.English})
	if w, due := start.Read(path, false); !due || w.Step != guide.Scanner || w.Lang != words.English {
		t.Errorf("just enrolled: %+v, %v", w, due)
	}
	// Who was wiped is new.
	write(start.Walk{Step: guide.Ready, Lang: words.English, Over: true})
	if w, due := start.Read(path, true); !due || w.Step != guide.Language {
		t.Errorf("wiped: %+v, %v", w, due)
	}
	write(start.Repeat())
	if w, due := start.Read(path, false); !due || w.Step != guide.Language || !w.Again {
		t.Errorf("set up again: %+v, %v", w, due)
	}
	write(start.Walk{Step: guide.Ready, Lang: words.Vietnamese, Lane: start.Turned, Over: true})
	if start.Left(path) != start.Turned {
		t.Error("that the lane goes the other way is forgotten")
	}
	if err := start.Done(path); err != nil || start.Left(path) != start.Unasked {
		t.Errorf("Done = %v, left %v", err, start.Left(path))
	}
	for _, damage := range []string{"", "{", `{"step":77,"lang":"vi"}`, `{"step":4,"lang":"xx"}`} {
		if err := os.WriteFile(path, []byte(damage), 0o600); err != nil {
			t.Fatal(err)
		}
		if w, due := start.Read(path, false); due {
			t.Errorf("a door with a damaged file %q asks: %+v", damage, w)
		}
		if w, due := start.Read(path, true); !due || w.Step != guide.Language {
			t.Errorf("a new kiosk with a damaged file %q: %+v, %v", damage, w, due)
		}
	}
}

// views returns every view that a first start can have, by name.
func views() map[string]start.View {
	all := map[string]start.View{}
	s := start.Situation{Place: "Bệnh viện Trung ương Huế", Gate: "Cổng A1", Direction: wire.In}
	for _, lang := range words.Langs() {
		for step := guide.Language; step <= guide.Ready; step++ {
			w := start.Walk{Step: step, Lang: lang}
			all[fmt.Sprintf("%s-%d-%s", lang, step, step)] = w.Look(s)
		}
	}
	for step := guide.LampTest; step <= guide.VoiceTest; step++ {
		w := start.Walk{Step: step, Lang: words.Vietnamese, Asked: true}
		all["advice-"+step.String()] = w.Look(s)
	}
	for trouble := guide.Trouble(1); int(trouble) <= guide.Troubles; trouble++ {
		w := start.Walk{Step: guide.Network, Lang: words.Vietnamese}
		all["trouble-"+trouble.String()] = w.Look(start.Situation{Trouble: trouble})
	}
	_, found := bootfile.Parse([]byte(strings.Repeat("\n", 11) + "adress = 192.168.1.20/24"))
	all["file"] = start.Begin().Look(start.Situation{Trouble: guide.BadFile, Faults: []string{found[0].String()}})
	_, found = bootfile.Parse([]byte("adress = 192.168.1.20/24\nlanguage = fr\nwired = lamp\nproxy = 10.0.0.1\ncode = QGE1\nsim_pin = 1\n"))
	var faults []string
	for _, f := range found {
		faults = append(faults, f.String())
	}
	all["file-many"] = start.Begin().Look(start.Situation{Trouble: guide.BadFile, Faults: faults})
	for _, stage := range enrolment.Stages() {
		w := start.Walk{Step: guide.Enrol, Lang: words.Vietnamese}
		status := enrolment.Status{Stage: stage}
		if stage == enrolment.Words {
			status.Words = "nghiêng trường xuống khuỷu"
		}
		all["enrolment-"+string(stage)] = w.Look(start.Situation{Enrolment: status})
	}
	out := s
	out.Direction = wire.Out
	all["direction-out"] = start.Walk{Step: guide.Direction, Lang: words.Vietnamese}.Look(out)
	all["ready-failed"] = start.Walk{Step: guide.Ready, Lang: words.Vietnamese, Failed: []guide.Step{guide.LampTest, guide.VoiceTest}}.Look(s)
	return all
}

func TestEveryViewIsSaidShownAndSignalled(t *testing.T) {
	for name, v := range views() {
		page := start.NewPage("1.0", v, quiet)
		w := httptest.NewRecorder()
		r := httptest.NewRequest("GET", "/", nil)
		r.Host = "127.0.0.1:8088"
		page.Handler().ServeHTTP(w, r)
		body := w.Body.String()
		if w.Code != 200 || !strings.Contains(body, "</html>") || !strings.Contains(body, `data-stage="`+v.About+`"`) {
			t.Errorf("%s: page = %d: %s", name, w.Code, body)
		}
		for _, s := range v.Head {
			if s.Head == "" || s.Do == "" {
				t.Errorf("%s: nothing is said in %s", name, s.Lang)
			}
		}
		if slices.Contains([]panel.Signal{panel.Admitted, panel.Again, panel.Amber}, v.Signal()) {
			t.Errorf("%s: the lamps show %s, which opens the door", name, v.Signal())
		}
		if waits := name == "enrolment-words"; (v.Signal() == panel.Awaited) != waits || waits && v.Line() != string(guide.AwaitedKey) {
			t.Errorf("%s: the lamps show %s and %q is spoken", name, v.Signal(), v.Line())
		}
		if line := v.Line(); line == "" && !strings.HasPrefix(name, "enrolment-") {
			t.Errorf("%s is not spoken", name)
		} else if _, err := dist.StartVoices().Open(line + ".wav"); line != "" && err != nil {
			t.Errorf("%s: %v: run device/dist/voices.sh", name, err)
		}
	}
}

// A new kiosk whose card keeps nothing was a door this morning, as a rule: that it takes no
// code any more is not what is wrong.
func TestABrokenCardIsSaidAlsoWhereNoCodeIsTaken(t *testing.T) {
	w := start.Begin()
	for trouble, want := range map[guide.Trouble]panel.Signal{
		guide.BadDisk: panel.Trouble(int(guide.BadDisk)),
		guide.NoCable: enrolment.Status{Stage: enrolment.Closed}.Signal(),
	} {
		v := w.Look(start.Situation{Enrolment: enrolment.Status{Stage: enrolment.Closed}, Trouble: trouble})
		if got := v.Signal(); got != want {
			t.Errorf("trouble %s: lamps show %s, want %s", trouble, got, want)
		}
	}
}

func TestPageShowsNoMarkupOfOthers(t *testing.T) {
	v := start.OfEnrolment(enrolment.Status{Stage: enrolment.Words, Words: "cá <b> bò"})
	w := httptest.NewRecorder()
	r := httptest.NewRequest("GET", "/", nil)
	r.Host = "127.0.0.1:8088"
	start.NewPage("1.0", v, quiet).Handler().ServeHTTP(w, r)
	if body := w.Body.String(); strings.Contains(body, "<b>") || !strings.Contains(body, "&lt;b&gt;") {
		t.Errorf("page: %s", body)
	}
}

// The printed guide and the lamps agree.
func TestTheGuideSaysWhatTheLampsDo(t *testing.T) {
	signals := map[string]panel.Signal{panel.Awaited.String(): panel.Awaited}
	for _, s := range panel.Signals() {
		signals[s.String()] = s
	}
	for n := 1; n <= guide.Steps; n++ {
		signals[panel.Step(n).String()] = panel.Step(n)
	}
	for n := 1; n <= guide.Troubles; n++ {
		signals[panel.Trouble(n).String()] = panel.Trouble(n)
	}
	for _, l := range guide.Lamps() {
		s, ok := signals[l.Signal]
		delete(signals, l.Signal)
		red, amber, green := s.Lamps()
		if !ok || red != l.Red || amber != l.Amber || green != l.Green || !slices.Equal(s.Blink(), l.Blink) || !slices.Equal(s.Beep(), l.Beep) {
			t.Errorf("printed: %+v\nswitched: %v %v %v %v %v %v", l, s, red, amber, green, s.Blink(), s.Beep())
		}
	}
	if len(signals) > 0 {
		t.Errorf("not printed: %v", signals)
	}
}

// After a change of words voices.sh renders them again.
func TestVoicesSayTheWordsOfTheGuide(t *testing.T) {
	f, err := dist.StartVoices().Open("LINES.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		name, text, _ := strings.Cut(strings.TrimSpace(line), ".wav = ")
		s := guide.Of(words.Vietnamese, words.Key(name))
		if want := strings.TrimRight(s.Head, ".!?") + ". " + s.Do; text != want {
			t.Errorf("the screen says %q, %s.wav says %q: run device/dist/voices.sh", want, name, text)
		}
	}
}

// Where no page is seen another program says that the first start is not over.
func TestBrief(t *testing.T) {
	w := httptest.NewRecorder()
	r := httptest.NewRequest("GET", "/brief", nil)
	r.Host = "127.0.0.1:8088"
	start.NewPage("1.0", start.View{}, quiet).Handler().ServeHTTP(w, r)
	if got := strings.TrimSpace(w.Body.String()); w.Code != 200 || got != "{}" {
		t.Errorf("brief = %d: %q, want no state of a door", w.Code, got)
	}
}
