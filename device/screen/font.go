package screen

import "io/fs"

// Fonts returns the files of the page's letters, for other pages of this machine:
// be-vietnam-400.woff2 and be-vietnam-700.woff2.
func Fonts() fs.FS {
	sub, err := fs.Sub(assets, "assets")
	if err != nil { // only if the name were invalid
		panic(err)
	}
	return sub
}
