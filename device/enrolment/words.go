package enrolment

import (
	_ "embed"
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

// Sentence returns what is said at a stage.
func Sentence(lang words.Lang, s Stage) words.Sentence {
	t := texts()[lang]
	return words.Sentence{Head: t[words.Key(s)], Do: t[words.Key(s+".do")]}
}
