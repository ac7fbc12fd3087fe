//go:build full

package passage_test

import (
	"fmt"
	"testing"

	"github.com/qrgate/qrgate/server/portal/pagetest"
)

func TestLooks(t *testing.T) {
	w := newWorld(t)
	fill(t, w)
	w.Looks(t, nil, pagetest.Look{"place", "owner", fmt.Sprintf("/dia-diem/%d/do-phu", w.Place.No)})
}
