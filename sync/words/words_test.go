package words_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
	"github.com/qrgate/qrgate/sync/words"
	"golang.org/x/text/unicode/norm"
)

var placeholder = regexp.MustCompile(`\{[^}]*\}`)

func TestLanguagesSayTheSame(t *testing.T) {
	want := words.Keys(words.Vietnamese)
	for _, lang := range words.Langs() {
		if diff := cmp.Diff(want, words.Keys(lang)); diff != "" {
			t.Errorf("Keys(%s) differs from Keys(vi) (-vi +%s):\n%s", lang, lang, diff)
		}
		for _, key := range want {
			text := words.Of(lang, key)
			if text == "" || text != strings.TrimSpace(text) || !norm.NFC.IsNormalString(text) {
				t.Errorf("Of(%s, %s) = %q, want trimmed NFC text", lang, key, text)
			}
			got, vi := placeholder.FindAllString(text, -1), placeholder.FindAllString(words.Of(words.Vietnamese, key), -1)
			slices.Sort(got)
			slices.Sort(vi)
			if !slices.Equal(got, vi) {
				t.Errorf("Of(%s, %s) has placeholders %v, want %v", lang, key, got, vi)
			}
			if head := !strings.HasSuffix(string(key), ".do"); head && (strings.HasPrefix(string(key), "state.") || strings.HasPrefix(string(key), "reason.") || strings.HasPrefix(string(key), "hint.")) {
				if n := utf8.RuneCountInString(text); n > words.MaxHead {
					t.Errorf("Of(%s, %s) = %q, %d characters, want at most %d", lang, key, text, n, words.MaxHead)
				}
			}
		}
	}
}

// Every key is reached by a name in the code: a text that nothing says would
// never be corrected.
func TestEveryTextIsSaidAndEverythingHasText(t *testing.T) {
	for _, lang := range words.Langs() {
		said := map[words.Key]bool{}
		say := func(key words.Key, got string) {
			t.Helper()
			said[key] = true
			if got == "" || got == string(key) {
				t.Errorf("%s: %s has no words", lang, key)
			}
		}
		for _, r := range wire.Reasons() {
			s := words.Reason(lang, r)
			say(words.Key("reason."+r.String()), s.Head)
			say(words.Key("reason."+r.String()+".do"), s.Do)
		}
		for _, state := range words.States() {
			s := words.Door(lang, state)
			say(words.Key("state."+state), s.Head)
			say(words.Key("state."+state+".do"), s.Do)
		}
		for _, h := range words.Hints() {
			s := words.Hint(lang, h)
			say(words.Key("hint."+h), s.Head)
			say(words.Key("hint."+h+".do"), s.Do)
		}
		for v := wire.Admitted; v <= wire.Unrecorded; v++ {
			say(words.Key("verdict."+v.String()), words.Verdict(lang, v))
		}
		for _, k := range wire.OrderKinds() {
			if said := words.Order(lang, k); said != "" {
				say(words.Key("order."+k.String()), said)
			}
		}
		for k := range pass.Kind(255) {
			if _, err := pass.ParseKind(k.String()); err == nil || k == pass.Unknown {
				say(words.Key("pass."+k.String()), words.Pass(lang, k))
			}
		}
		for _, key := range []words.Key{words.Help, words.AgainAt, words.FullFor, words.ListNone, words.ListAge, words.TestPass,
			words.TypedWrong, words.TypedWrongDo, words.TypedAsk, words.TypedHint, words.TypedEnter, words.TypedErase, words.TypedClose,
			words.BringAsk, words.BringDone, words.Inside, words.InsideNear, words.InsideFull, words.SelfTestBad, words.TimeAsk, words.CarryBusy, words.CarryDone, words.CarryFailed, words.CarryCodes, words.CarryTaken, words.LeaseSoon, words.LeaseEnded,
			words.PhoneAsk, words.PhoneHint, words.PhoneWrong, words.PhoneWrong + ".do", words.PhoneWait, words.PhoneWait + ".do", words.BringFirst, words.BringFirst + ".do"} {
			say(key, words.Of(lang, key))
		}
		for _, key := range words.Keys(lang) {
			if !said[key] {
				t.Errorf("%s: nothing says %s", lang, key)
			}
		}
	}
}

func TestOf(t *testing.T) {
	for _, tt := range []struct {
		lang words.Lang
		key  words.Key
		args []string
		want string
	}{
		{words.Vietnamese, words.AgainAt, []string{"time", "08:05"}, "Đã ghi nhận lúc 08:05"},
		{words.English, words.AgainAt, []string{"time", "08:05"}, "Recorded at 08:05"},
		{words.English, words.Help, []string{"number", "{number}"}, "Help: {number}"},
		{words.English, words.Help, []string{"other", "x"}, "Help: {number}"},
		{"fr", words.Help, []string{"number", "19001075"}, "Help: 19001075"},
		{words.English, "no.such", nil, "no.such"},
	} {
		if got := words.Of(tt.lang, tt.key, tt.args...); got != tt.want {
			t.Errorf("Of(%s, %s, %q) = %q, want %q", tt.lang, tt.key, tt.args, got, tt.want)
		}
	}
}

func TestReasonOfAnotherRelease(t *testing.T) {
	if got := words.Reason(words.English, wire.NoReason); got != (words.Sentence{}) {
		t.Errorf("Reason(none) = %+v, want nothing", got)
	}
	if got, want := words.Reason(words.English, 255), words.Reason(words.English, wire.ReasonUnknown); got != want {
		t.Errorf("Reason(255) = %+v, want %+v", got, want)
	}
}
