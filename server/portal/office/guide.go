package office

import (
	"embed"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/portal/text"
	"github.com/qrgate/qrgate/server/qrgate"
)

// The tests in a browser put pictures of pages here, as steps.txt says.
//
//go:embed shots
var shots embed.FS

// guides are for whom there is one: their names in texts and in addresses.
var guides = []struct{ Name, Slug string }{
	{"visitor", "nguoi-den"},
	{"owner", "chu-dia-diem"},
	{"staff", "nhan-vien"},
	{"officer", "can-bo"},
	{"administrator", "quan-tri"},
}

// addShots gives each picture of the guide an address, by its name without
// extension: owner-2.
func addShots(f *page.Frame) map[string]string {
	all := map[string]string{}
	names, err := fs.Glob(shots, "shots/*")
	if err != nil {
		panic(err)
	}
	f.Assets().Add(shots, "shots")
	for _, name := range names {
		base := path.Base(name)
		if ext := path.Ext(base); ext == ".png" || ext == ".webp" {
			all[strings.TrimSuffix(base, ext)] = f.Assets().Address(base)
		}
	}
	return all
}

func (o *Office) guide(w http.ResponseWriter, r *http.Request, v *page.View) error {
	return v.Render(w, "guide", struct{ Guides any }{guides})
}

// A step of a guide. Its texts are guide.NAME.N and guide.NAME.N.do.
type step struct {
	No   int
	Key  string
	Shot string // address of its picture, or ""
}

func (o *Office) guideOf(w http.ResponseWriter, r *http.Request, v *page.View) error {
	for _, g := range guides {
		if g.Slug != r.PathValue("role") {
			continue
		}
		var steps []step
		for no := 1; text.Has("guide." + g.Name + "." + strconv.Itoa(no)); no++ {
			n := strconv.Itoa(no)
			steps = append(steps, step{no, "guide." + g.Name + "." + n, o.shots["guide-"+g.Name+"-"+n]})
		}
		return v.Render(w, "guide_role", struct {
			Name   string
			Steps  []step
			Guides any
		}{g.Name, steps, guides})
	}
	return qrgate.ErrNotFound
}
