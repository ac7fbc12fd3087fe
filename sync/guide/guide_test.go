package guide_test

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/qrgate/qrgate/sync/guide"
	"github.com/qrgate/qrgate/sync/pairing"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/words"
)

func TestEverythingHasItsWords(t *testing.T) {
	var keys []words.Key
	for s := guide.Step(1); int(s) <= guide.Steps; s++ {
		if s == guide.Direction {
			keys = append(keys, s.Key()+".in", s.Key()+".out")
			continue
		}
		keys = append(keys, s.Key())
	}
	for _, s := range []guide.Step{guide.LampTest, guide.SoundTest, guide.VoiceTest} {
		keys = append(keys, s.Advice())
	}
	for k := guide.Trouble(1); int(k) <= guide.Troubles; k++ {
		keys = append(keys, k.Key())
	}
	for _, lang := range []words.Lang{words.Vietnamese, words.English} {
		for _, k := range keys {
			s := guide.Of(lang, k)
			if s.Head == "" || s.Do == "" || utf8.RuneCountInString(s.Head) > words.MaxHead {
				t.Errorf("Of(%s, %s) = %q, want a headline of at most %d letters and what to do", lang, k, s, words.MaxHead)
			}
		}
		for _, a := range guide.Answers() {
			if guide.Text(lang, a.Key()) == "" {
				t.Errorf("answer %s has no word in %s", a, lang)
			}
		}
	}
	vi, en := guide.Keys(words.Vietnamese), guide.Keys(words.English)
	slices.Sort(vi)
	slices.Sort(en)
	if !slices.Equal(vi, en) {
		t.Errorf("the languages have other keys:\n%s\n%s", vi, en)
	}
	for _, k := range vi {
		if strings.Count(guide.Text(words.Vietnamese, k), "{") != strings.Count(guide.Text(words.English, k), "{") {
			t.Errorf("%s has other placeholders", k)
		}
	}
}

// What answers a question of set-up is nothing to a door.
func TestAnswersAreNoPasses(t *testing.T) {
	for _, a := range guide.Answers() {
		if got, ok := guide.AnswerOf(strings.ToLower(string(a))); !ok || got != a {
			t.Errorf("AnswerOf(%q in lower case) = %q, %v", a, got, ok)
		}
		if p, err := pass.Parse(string(a)); err == nil {
			t.Errorf("pass.Parse(%q) = %v, want an error", a, p.Kind)
		}
		if _, err := pairing.Parse(string(a)); err == nil {
			t.Errorf("pairing.Parse(%q) takes it", a)
		}
	}
	if a, ok := guide.AnswerOf("QG1ABC"); ok {
		t.Errorf("AnswerOf of a card = %q", a)
	}
}
