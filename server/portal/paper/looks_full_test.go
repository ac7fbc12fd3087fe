//go:build full

package paper_test

import (
	"fmt"
	"testing"

	"github.com/qrgate/qrgate/server/portal/pagetest"
)

func TestLooks(t *testing.T) {
	w, _ := newWorld(t)
	at := fmt.Sprintf("/dia-diem/%d/so-giay", w.Place.No)
	w.Looks(t, nil, pagetest.Look{"form", "guard", at}, pagetest.Look{"sheets", "guard", at + "/in?to=2"})
}
