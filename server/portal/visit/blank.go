package visit

import (
	"bytes"
	"fmt"
	"sync"

	"github.com/qrgate/qrgate/server/portal/page"
)

// blanks are the pages of posters as somebody sees them of whom nothing is known:
// the same for everybody but for the key. Many come to one place, and what it says
// seldom changes.
type blanks struct {
	mu   sync.Mutex
	kept map[string]blank
}

// maxBlanks bounds what is kept to about 13 MB.
const maxBlanks = 2000

type blank struct {
	name, address string
	before, after []byte // the key
}

// keyMark stands for the key while a page is made. No text of a place holds it,
// because none holds a control character.
const keyMark = "\x01key\x01"

// blank returns the page of a poster, made anew if the place was changed since.
func (p *Pages) blank(at *poster, out bool) (blank, error) {
	id := at.Code
	if out {
		id += "?ra"
	}
	p.blanks.mu.Lock()
	b, ok := p.blanks.kept[id]
	p.blanks.mu.Unlock()
	if ok && b.name == at.Place.Name && b.address == at.Address {
		return b, nil
	}
	c := newCheckin(at, keyMark)
	c.Out = out
	c.fill(page.NewForm(nil))
	var sheet bytes.Buffer
	if err := p.sheets["checkin"].ExecuteTemplate(&sheet, "shell", c); err != nil {
		return blank{}, fmt.Errorf("visit: %w", err)
	}
	b = blank{name: at.Place.Name, address: at.Address}
	if b.before, b.after, ok = bytes.Cut(sheet.Bytes(), []byte(keyMark)); !ok {
		return blank{}, fmt.Errorf("visit: the page of %s has no room for a key", at.Code)
	}
	p.blanks.mu.Lock()
	defer p.blanks.mu.Unlock()
	if p.blanks.kept == nil || len(p.blanks.kept) >= maxBlanks {
		p.blanks.kept = map[string]blank{}
	}
	p.blanks.kept[id] = b
	return b, nil
}
