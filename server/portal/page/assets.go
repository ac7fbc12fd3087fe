package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
)

//go:embed assets
var ownAssets embed.FS

//go:embed pages
var ownPages embed.FS

// Assets are files that pages load, each under an address that changes with it.
type Assets map[string]asset

type asset struct {
	name, hash string
	data       []byte
}

// Add reads the files of a folder. What is wrong with them is a bug that every
// test finds, so it panics.
func (a Assets) Add(fsys fs.FS, dir string) {
	entries, err := fs.ReadDir(fsys, dir)
	if err != nil {
		panic(err)
	}
	for _, e := range entries {
		data, err := fs.ReadFile(fsys, path.Join(dir, e.Name()))
		if err != nil {
			panic(err)
		}
		a.put(e.Name(), data)
	}
}

func (a Assets) put(name string, data []byte) {
	sum := sha256.Sum256(data)
	a[name] = asset{name, hex.EncodeToString(sum[:8]), data}
}

// Address returns where pages load the file from.
func (a Assets) Address(name string) string {
	f, ok := a[name]
	if !ok {
		panic("page: no asset " + name)
	}
	return "/assets/" + name + "?v=" + f.hash
}

// serve answers a request for one of them.
func (a Assets) serve(w http.ResponseWriter, r *http.Request, _ *View) error {
	f, ok := a[r.PathValue("name")]
	if !ok {
		return qrgate.ErrNotFound
	}
	h := w.Header()
	h.Set("ETag", `"`+f.hash+`"`)
	// A page of another release asks for another version, which this is not.
	h.Set("Cache-Control", "no-cache")
	if r.URL.Query().Get("v") == f.hash {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	switch path.Ext(f.name) {
	case ".js":
		h.Set("Content-Type", "text/javascript; charset=utf-8")
	case ".woff2":
		h.Set("Content-Type", "font/woff2")
	case ".css":
		h.Set("Content-Type", "text/css; charset=utf-8")
	}
	http.ServeContent(w, r, f.name, time.Time{}, bytes.NewReader(f.data))
	return nil
}
