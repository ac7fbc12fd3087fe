//go:build full

package carry_test

import (
	"testing"

	"github.com/qrgate/qrgate/server/portal/pagetest"
)

func TestLooks(t *testing.T) {
	w, _ := newWorld(t)
	w.Looks(t, nil, pagetest.Look{"carry", "admin", at})
}
