package guard

import (
	_ "embed"
	"slices"
	"strings"
	"sync"

	"github.com/qrgate/qrgate/sync/words"
)

//go:embed vi.txt
var vietnamese string

//go:embed en.txt
var english string

var texts = sync.OnceValue(func() map[words.Lang]map[words.Key]string {
	return map[words.Lang]map[words.Key]string{words.Vietnamese: words.Parse(vietnamese), words.English: words.Parse(english)}
})

// say returns a text of the page, "" if there is none. args are names and values of its
// placeholders in turn.
func say(lang words.Lang, key string, args ...string) string {
	text := texts()[lang][words.Key(key)]
	if len(args) == 0 {
		return text
	}
	pairs := slices.Clone(args)
	for i := 0; i < len(pairs); i += 2 {
		pairs[i] = "{" + pairs[i] + "}"
	}
	return strings.NewReplacer(pairs...).Replace(text)
}
