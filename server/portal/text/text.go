// Package text is what the portal's pages say, in Vietnamese and English. One
// folder a language, one file a subject, a line "key = text"; {...} is replaced
// when it is said. People who do not program read and correct the files.
//
//	text.Of(text.Vietnamese, "place.saved", "name", "Chợ Đông Ba")
//
// The promise: both languages have the same keys with the same placeholders, and
// a text is never empty. What a door says is package words' matter.
package text

import (
	"embed"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/text/language"

	"github.com/qrgate/qrgate/sync/words"
)

// A Lang is a language, named as in HTML.
type Lang = words.Lang

// The languages. Vietnamese comes first wherever both are shown.
const (
	Vietnamese = words.Vietnamese
	English    = words.English
)

// Langs returns every language.
func Langs() []Lang { return words.Langs() }

//go:embed vi en
var files embed.FS

// texts holds each language's texts. A file that does not parse is a bug that
// every test finds, so it panics.
var texts = func() map[Lang]map[string]string {
	all := map[Lang]map[string]string{}
	for _, lang := range Langs() {
		all[lang] = map[string]string{}
		names, err := fs.Glob(files, string(lang)+"/*.txt")
		if err != nil {
			panic(err)
		}
		for _, name := range names {
			file, err := fs.ReadFile(files, name)
			if err != nil {
				panic(err)
			}
			for key, text := range words.Parse(string(file)) {
				if _, twice := all[lang][string(key)]; twice {
					panic(fmt.Sprintf("text: %s: %q is said twice", name, key))
				}
				all[lang][string(key)] = text
			}
		}
	}
	return all
}()

// Keys returns every key of a language, sorted.
func Keys(lang Lang) []string {
	var all []string
	for k := range texts[lang] {
		all = append(all, k)
	}
	slices.Sort(all)
	return all
}

// Has reports whether there is such a text.
func Has(key string) bool { _, ok := texts[Vietnamese][key]; return ok }

// Of returns the text of key. args are names and values of its placeholders in
// turn. A key without a text is a bug: it is returned between marks that a test
// of every page looks for.
func Of(lang Lang, key string, args ...any) string {
	text, ok := texts[lang][key]
	if !ok {
		return "⟦" + key + "⟧"
	}
	if len(args) == 0 {
		return text
	}
	pairs := make([]string, len(args))
	for i, a := range args {
		if pairs[i] = fmt.Sprint(a); i%2 == 0 {
			pairs[i] = "{" + pairs[i] + "}"
		}
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

var matcher = language.NewMatcher([]language.Tag{language.Vietnamese, language.English})

// cookie holds the language that somebody chose.
const cookie = "lang"

// Wanted returns the language in which to answer a request: the one that was
// chosen, or the browser's, or Vietnamese.
func Wanted(r *http.Request) Lang {
	if c, err := r.Cookie(cookie); err == nil && slices.Contains(Langs(), Lang(c.Value)) {
		return Lang(c.Value)
	}
	if accept := r.Header.Get("Accept-Language"); accept != "" && len(accept) < 256 {
		if tags, _, err := language.ParseAcceptLanguage(accept); err == nil {
			if _, i, sure := matcher.Match(tags...); i == 1 && sure != language.No {
				return English
			}
		}
	}
	return Vietnamese
}

// Choose makes lang the language of whoever asked.
func Choose(w http.ResponseWriter, lang Lang, secure bool) {
	http.SetCookie(w, &http.Cookie{
		Name: cookie, Value: string(lang), Path: "/", MaxAge: 365 * 24 * 3600, HttpOnly: true, Secure: secure, SameSite: http.SameSiteLaxMode,
	})
}
