package intro_test

import (
	"log/slog"
	"testing"

	"github.com/qrgate/qrgate/server/portal/intro"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/portal/pagetest"
	"github.com/qrgate/qrgate/server/store/register"
)

// A world is a portal with these pages.
type world struct {
	*pagetest.World
	intro *intro.Intro
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{}
	w.World = pagetest.New(t, "http://127.0.0.1", func(f *page.Frame, reg *register.Register) []page.Route {
		w.intro = intro.New(f, reg, slog.New(slog.DiscardHandler))
		return w.intro.Routes()
	})
	return w
}
