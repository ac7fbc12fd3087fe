package area_test

import (
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/qrgate/qrgate/server/area"
	"github.com/qrgate/qrgate/server/qrgate"
)

func FuzzParseID(f *testing.F) {
	f.Fuzz(func(t *testing.T, text string) {
		id, err := area.ParseID(text)
		if err != nil {
			if !errors.Is(err, qrgate.ErrInvalid) || id != (area.ID{}) {
				t.Fatalf("ParseID(%q) = %v, %v", text, id, err)
			}
			return
		}
		if id.String() != text {
			t.Errorf("ParseID(%q) = %v", text, id)
		}
		if u, ok := area.Lookup(id); ok && u.ID != id {
			t.Errorf("Lookup(%v) = %v", id, u.ID)
		}
	})
}

func FuzzFold(f *testing.F) {
	f.Fuzz(func(t *testing.T, text string) {
		got := area.Fold(text)
		if again := area.Fold(got); again != got {
			t.Errorf("Fold(%q) = %q, folded again %q", text, got, again)
		}
		if !utf8.ValidString(got) || strings.TrimSpace(got) != got || strings.Contains(got, "  ") {
			t.Errorf("Fold(%q) = %q", text, got)
		}
		if k := strings.IndexFunc(got, func(r rune) bool { return unicode.In(r, unicode.M, unicode.Cc, unicode.Cf) }); k >= 0 {
			t.Errorf("Fold(%q) = %q has something that cannot be seen", text, got)
		}
	})
}

func FuzzSearch(f *testing.F) {
	f.Fuzz(func(t *testing.T, text string) {
		matches := area.Search(text, 5)
		if len(matches) > 5 {
			t.Fatalf("Search(%q, 5): %d matches", text, len(matches))
		}
		for _, m := range matches {
			if len(m.Current) == 0 {
				t.Errorf("Search(%q): %s leads nowhere", text, m.Unit.Label())
			}
		}
		if more := area.Search(text, 6); len(more) < len(matches) {
			t.Errorf("Search(%q): %d of 5, %d of 6", text, len(matches), len(more))
		}
	})
}
