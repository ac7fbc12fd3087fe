package poster_test

import (
	"testing"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/portal/pagetest"
	"github.com/qrgate/qrgate/server/portal/poster"
	"github.com/qrgate/qrgate/server/store/register"
)

// A world is a portal with these pages.
type world struct{ *pagetest.World }

func newWorld(t *testing.T) *world {
	t.Helper()
	return &world{pagetest.New(t, "http://127.0.0.1:8080", func(f *page.Frame, reg *register.Register) []page.Route {
		return poster.New(f, reg, poster.Options{RetentionDays: 21}).Routes()
	})}
}

func (w *world) posters() []register.Poster {
	w.T.Helper()
	all, err := w.Reg.Posters(w.T.Context(), w.Place.No)
	if err != nil {
		w.T.Fatal(err)
	}
	return all
}

func (w *world) templates() []register.Template {
	w.T.Helper()
	all, err := w.Reg.Templates(w.T.Context())
	if err != nil {
		w.T.Fatal(err)
	}
	return all
}
