package visit

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"time"

	"github.com/qrgate/qrgate/server/ingest"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

// A confirmation says that somebody, who stays unnamed, has checked in. It
// travels signed in the address of the page that shows it.
type confirmation struct {
	place     uint32
	direction wire.Direction
	people    uint8
	happened  int64 // Unix milliseconds
	made      int64 // Unix seconds
}

// doneFor is how long the address of a confirmation shows it.
const doneFor = time.Hour

var errConfirmation = errors.New("no confirmation of ours, or an old one")

const doneContext = "qrgate visit done v1\x00"

func (p *Pages) sign(c confirmation) string {
	b := binary.BigEndian.AppendUint32(nil, c.place)
	b = append(b, byte(c.direction), c.people)
	b = binary.BigEndian.AppendUint64(b, uint64(c.happened))
	b = binary.BigEndian.AppendUint64(b, uint64(c.made))
	return base64.RawURLEncoding.EncodeToString(append(b, p.seal(b)...))
}

func (p *Pages) seal(b []byte) []byte {
	m := hmac.New(sha256.New, p.o.Key)
	m.Write([]byte(doneContext))
	m.Write(b)
	return m.Sum(nil)[:16]
}

func (p *Pages) opened(s string) (c confirmation, err error) {
	const size = 4 + 2 + 8 + 8
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != size+16 || !hmac.Equal(p.seal(b[:size]), b[size:]) {
		return c, errConfirmation
	}
	c = confirmation{
		place: binary.BigEndian.Uint32(b), direction: wire.Direction(b[4]), people: b[5],
		happened: int64(binary.BigEndian.Uint64(b[6:])), made: int64(binary.BigEndian.Uint64(b[14:])),
	}
	if age := p.o.Frame.Now().Sub(time.Unix(c.made, 0)); age > doneFor || age < -time.Minute {
		return c, errConfirmation
	}
	return c, nil
}

// donePath returns the address of the page that confirms a visit.
func (p *Pages) donePath(at *poster, v ingest.Visit, r ingest.Receipt) string {
	c := confirmation{
		place: at.Place.No, direction: v.Direction, people: uint8(r.People), happened: r.Happened.UnixMilli(), made: p.o.Frame.Now().Unix(),
	}
	return pass.PosterPath + at.Code + "/xong?" + url.Values{"x": {p.sign(c)}}.Encode()
}

// A done is what a confirmation shows.
type done struct {
	*poster
	In           bool
	At           time.Time
	People       int
	Introduction template.HTML
}

// Done confirms a check-in.
func (p *Pages) Done(w http.ResponseWriter, r *http.Request, v *page.View) error {
	at, err := p.find(r.Context(), r.PathValue("code"))
	if err != nil {
		return p.lost(w, v, err)
	}
	c, err := p.opened(r.URL.Query().Get("x"))
	if err != nil || c.place != at.Place.No {
		http.Redirect(w, r, pass.PosterPath+at.Code, http.StatusSeeOther)
		return nil
	}
	d := done{poster: at, In: c.direction == wire.In, At: time.UnixMilli(c.happened), People: int(c.people)}
	if p.o.Introduction != nil {
		d.Introduction, _ = p.o.Introduction.Introduction(r.Context(), c.place)
	}
	return p.put(w, v, http.StatusOK, "done", &d)
}
