//go:build full

package movement_test

import (
	"fmt"
	"testing"

	"github.com/qrgate/qrgate/server/portal/pagetest"
)

func TestLooks(t *testing.T) {
	w := newWorld(t)
	place := fmt.Sprintf("/di-chuyen/dia-diem/%d", w.Place.No)
	fill := func(l pagetest.Look) {
		if l[0] == "overview" {
			w.fill()
			w.exec("UPDATE places SET capacity = 350 WHERE no = ?", int64(w.Place.No))
		}
	}
	w.Looks(t, fill, []pagetest.Look{
		{"empty", "reporter", "/di-chuyen"},
		{"overview", "reporter", "/di-chuyen"}, {"whole", "reporter", "/di-chuyen?ban_do=ca"}, {"hour", "trade", "/di-chuyen?gio=25"}, {"area", "commune", "/di-chuyen"},
		{"flows", "health", "/di-chuyen/luong"}, {"places", "reporter", "/di-chuyen/dia-diem"},
		{"place", "owner", place}, {"place-hidden", "owner", place + "?ngay=" + (w.last - 4).String()},
	}...)
}
