package page

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"slices"
	"strings"
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
	packed     []byte // see Pack
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

// Join makes one file of several, so that a page loads no more than it must.
func (a Assets) Join(name string, fsys fs.FS, files ...string) {
	var all []byte
	for _, file := range files {
		data, err := fs.ReadFile(fsys, file)
		if err != nil {
			panic(err)
		}
		all = append(all, data...)
	}
	a.put(name, all)
}

func (a Assets) put(name string, data []byte) {
	sum := sha256.Sum256(data)
	f := asset{name: name, hash: hex.EncodeToString(sum[:8]), data: data}
	if slices.Contains([]string{".css", ".js", ".svg", ".txt"}, path.Ext(name)) {
		f.packed = Pack(data)
	}
	a[name] = f
}

// Pack returns data by gzip, once for all who ask for it, or nil if that is not
// much shorter.
func Pack(data []byte) []byte {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		panic(err)
	}
	w.Write(data) // into memory
	w.Close()
	if out.Len() > len(data)*9/10 {
		return nil
	}
	return out.Bytes()
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
	data := f.data
	if f.packed != nil {
		h.Set("Vary", "Accept-Encoding")
		if TakesGzip(r) {
			h.Set("Content-Encoding", "gzip")
			h.Set("ETag", `"`+f.hash+`-gzip"`)
			data = f.packed
		}
	}
	http.ServeContent(w, r, f.name, time.Time{}, bytes.NewReader(data))
	return nil
}

// TakesGzip reports whether a request names gzip among what it can read. Whoever
// asks for a range counts in what is not packed.
func TakesGzip(r *http.Request) bool {
	if r.Header.Get("Range") != "" {
		return false
	}
	for kind := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		if name, quality, _ := strings.Cut(strings.TrimSpace(kind), ";"); name == "gzip" && strings.TrimSpace(quality) != "q=0" {
			return true
		}
	}
	return false
}
