//go:build full

package fleet_test

import (
	"testing"
	"time"

	judge "github.com/qrgate/qrgate/server/fleet"
	"github.com/qrgate/qrgate/sync/e2e/browser"
)

// The list follows what happens without being loaded again: a kiosk goes, it gets an
// alarm and comes first, and whoever is at its link keeps that.
func TestListFollowsInABrowser(t *testing.T) {
	w := newWorld(t)
	now := time.Now()
	w.beat(market, true, healthy(now), now)
	w.beat(hotel, true, healthy(now), now)
	p := browser.Start(t).Open()
	p.Look(1280, 900, "light")
	p.Visit(w.URL + "/blank")
	p.Eval("fetch('/as/admin', {method: 'POST', body: new URLSearchParams()}).then(() => true)")
	p.Visit(w.URL + "/thiet-bi")
	p.Wait(`!document.querySelector("[data-when=live]").hidden`)
	p.Eval(`window.loadedOnce = true; document.querySelector("[data-kiosk=` + hotel + `] a").focus(); true`)
	w.beat(hotel, false, healthy(now), now.Add(time.Second))
	p.Wait(`document.querySelector("[data-kiosk=` + hotel + `]").innerText.includes("Mất liên lạc")`)
	w.alarm(hotel, judge.IsSilent, now, 300, "")
	p.Wait(`document.querySelector("#kiosks tr").dataset.kiosk == "` + hotel + `"`)
	p.Wait(`document.activeElement.closest("tr")?.dataset.kiosk == "` + hotel + `"`)
	p.Wait(`document.querySelector("strong[data-fresh=nang]").innerText == "1"`)
	if p.Eval("window.loadedOnce") != true {
		t.Error("the page was loaded again")
	}
	if c := p.Complaints(); len(c) > 1 { // the blank page names no icon
		t.Errorf("the browser complains: %v", c)
	}
}
