package text_test

import (
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"

	"github.com/qrgate/qrgate/server/portal/text"
)

var placeholder = regexp.MustCompile(`\{[a-z_]+\}`)

func TestBothLanguagesSayTheSame(t *testing.T) {
	vi, en := text.Keys(text.Vietnamese), text.Keys(text.English)
	for _, k := range vi {
		if !slices.Contains(en, k) {
			t.Errorf("%s is not said in English", k)
			continue
		}
		a, b := text.Of(text.Vietnamese, k), text.Of(text.English, k)
		if strings.TrimSpace(a) == "" || strings.TrimSpace(b) == "" || !norm.NFC.IsNormalString(a) {
			t.Errorf("%s: %q, %q", k, a, b)
		}
		p, q := placeholder.FindAllString(a, -1), placeholder.FindAllString(b, -1)
		slices.Sort(p)
		slices.Sort(q)
		if !slices.Equal(slices.Compact(p), slices.Compact(q)) {
			t.Errorf("%s: placeholders %v and %v", k, p, q)
		}
	}
	for _, k := range en {
		if !slices.Contains(vi, k) {
			t.Errorf("%s is not said in Vietnamese", k)
		}
	}
}

func TestOf(t *testing.T) {
	if got := text.Of(text.English, "nothing.of.the.kind"); got != "⟦nothing.of.the.kind⟧" {
		t.Errorf("Of a key without text = %q", got)
	}
}

func TestWanted(t *testing.T) {
	for _, tt := range []struct {
		accept, cookie string
		want           text.Lang
	}{
		{"", "", text.Vietnamese},
		{"vi-VN,vi;q=0.9,en;q=0.8", "", text.Vietnamese},
		{"en-GB,en;q=0.9", "", text.English},
		{"fr-FR", "", text.Vietnamese},
		{"fr-FR,en;q=0.5", "", text.English},
		{"en", "vi", text.Vietnamese},
		{"vi", "en", text.English},
		{"vi", "xx", text.Vietnamese},
		{strings.Repeat("en,", 1000), "", text.Vietnamese},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Accept-Language", tt.accept)
		if tt.cookie != "" {
			r.Header.Set("Cookie", "lang="+tt.cookie)
		}
		if got := text.Wanted(r); got != tt.want {
			t.Errorf("Wanted(%.20q, cookie %q) = %s, want %s", tt.accept, tt.cookie, got, tt.want)
		}
	}
}
