package portal

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
)

//go:embed assets
var embedded embed.FS

// An asset is a file that pages load, under an address that changes with it.
type asset struct {
	name string
	data []byte
	hash string
}

func (a asset) address() string { return "/assets/" + a.name + "?v=" + a.hash }

// openAssets returns the files that pages load and the templates of the pages.
// What is wrong with them is a bug that every test finds, so it panics.
func openAssets() (map[string]asset, *template.Template) {
	assets := map[string]asset{}
	entries, err := fs.ReadDir(embedded, "assets")
	if err != nil {
		panic(err)
	}
	for _, e := range entries {
		if path.Ext(e.Name()) == ".html" {
			continue
		}
		data, err := embedded.ReadFile("assets/" + e.Name())
		if err != nil {
			panic(err)
		}
		sum := sha256.Sum256(data)
		assets[e.Name()] = asset{e.Name(), data, hex.EncodeToString(sum[:8])}
	}
	pages := template.Must(template.New("").Funcs(template.FuncMap{
		"number": number,
		"asset":  func(name string) string { return assets[name].address() },
	}).ParseFS(embedded, "assets/*.html"))
	return assets, pages
}

func (p *portal) asset(w http.ResponseWriter, r *http.Request) {
	a, ok := p.assets[r.PathValue("name")]
	if !ok {
		p.fail(w, r, qrgate.ErrNotFound)
		return
	}
	h := w.Header()
	h.Set("ETag", `"`+a.hash+`"`)
	// A page of another release asks for another version, which this is not.
	h.Set("Cache-Control", "no-cache")
	if r.URL.Query().Get("v") == a.hash {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if path.Ext(a.name) == ".js" {
		h.Set("Content-Type", "text/javascript; charset=utf-8")
	}
	http.ServeContent(w, r, a.name, time.Time{}, bytes.NewReader(a.data))
}
