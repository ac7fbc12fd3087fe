//go:build full

package card_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/qrgate/qrgate/sync/e2e/browser"
	"github.com/qrgate/qrgate/sync/pass"
)

// In a real browser: a thousand cards are printed while the page shows how far it
// is, with script and without; and pictures of every page for people to look at.
func TestInBrowser(t *testing.T) {
	w := newWorld(t)
	hoa := w.as("hoa")
	an := hoa.register("card.insurance", "0400012345")
	hoa.issued(an, "card")
	hoa.issued(an, "family")
	hoa.register("card.name", "Công Tằng Tôn Nữ Thị Hoàng Yến", "card.identity", "", "card.phone", "")
	var file bytes.Buffer
	file.WriteString(sheetHead)
	for i := range 1500 {
		fmt.Fprintf(&file, "Người Số %d,1950,,,,Phường Phú Xuân,046%09d,,\r\n", i, 100_000_000+i)
	}
	file.WriteString("Cháu Bé,2019,nữ,,0905 333 444,Phường Phú Xuân,,,\r\nNguyễn Văn An,1948,,,,thuan loc,,,\r\nAi,1900,,12,,Không đâu,9,,\r\n")
	_, report := hoa.upload("/the/nhap", url.Values{"card.kind": {"card"}, "card.days": {"365"}, "card.consent": {"1"}}, "card.file", "x.csv", file.Bytes())
	to := reportPath.FindString(report)

	b := browser.Start(t)
	tab := b.Open()
	tab.Visit(w.url + "/")
	tab.Eval(`document.cookie = "lang=vi; path=/"`)
	tab.Eval(`fetch("/as/hoa", {method: "POST"}).then(r => r.status)`)
	pictures := func(name, path string) {
		for _, width := range []int{360, 768, 1280} {
			tab.Look(width, 900, "light")
			tab.Visit(w.url + path)
			if wide := tab.Eval(`document.documentElement.scrollWidth - document.documentElement.clientWidth`); wide != 0.0 {
				t.Errorf("%s at %d is %v wider than the screen", path, width, wide)
			}
			tab.ShootAll(fmt.Sprintf("card-%s-%d", name, width))
		}
	}
	pictures("report", to)
	_, body := hoa.post(to, nil)
	batch := batchPath.FindString(body)
	for name, path := range map[string]string{
		"home": "/the", "form": "/the/nguoi/moi", "holder": an, "edit": an + "/sua", "card": "/the/so/1", "import": "/the/nhap", "test": "/the/kiem-tra", "batch": batch, "desk": "/the/may-quet",
	} {
		pictures(name, path)
	}
	// A scanner is joined, and what it reads fills in the form by itself, but never over
	// what somebody types.
	tab.Look(768, 900, "light")
	tab.Visit(w.url + "/the/may-quet")
	tab.Click("Nối máy quét")
	tab.Wait(`document.querySelector(".enrol-text code") !== null`)
	tab.ShootAll("card-desk-code")
	desk := w.sit(tab.Eval(`document.querySelector(".enrol-text code").textContent`).(string))
	tab.Wait(`document.querySelector("[data-line]").dataset.state === "joined"`)
	tab.ShootAll("card-desk-joined")
	tab.Visit(w.url + "/the/nguoi/moi")
	if shown := tab.Eval(`[...document.querySelectorAll(".card-read [hidden]")].filter(e => e.checkVisibility()).length`); shown != 0.0 {
		t.Errorf("%v hidden parts are seen", shown)
	}
	if blind := tab.Eval(`!document.querySelector("[data-blind]").hidden || !document.querySelector("[data-camera]").hidden`); blind != true {
		t.Error("the page says nothing of a camera")
	}
	desk.scan(citizen, 204)
	tab.Wait(`document.getElementById("f-card.name")?.value === "Nguyễn Thị Hoa Mai"`)
	tab.ShootAll("card-desk-filled")
	desk.scan(citizen, 204)
	tab.Wait(`document.querySelector("[data-more]")?.hidden === false`)
	tab.ShootAll("card-desk-more")
	for _, script := range []bool{true, false} {
		tab.Script(script)
		tab.Visit(w.url + batch)
		tab.Click("In thẻ")
		tab.Wait(`document.querySelector("progress") !== null || document.querySelector("a[href$='the.pdf']") !== null`)
		tab.ShootAll(fmt.Sprintf("card-job-%v", script))
		tab.Wait(`document.querySelector("a[href$='the.pdf']") !== null`)
	}
	tab.ShootAll("card-job-done")
	said := slices.DeleteFunc(b.Complaints(), func(s string) bool { return strings.Contains(s, "favicon.ico") }) // of the page that signs in
	if len(said) > 0 {
		t.Errorf("the browser complains: %q", said)
	}
}

// A sheet as a printer draws it is read by a reader of others and by the kiosk's own
// eye, card by card.
func TestSheetIsReadWhole(t *testing.T) {
	w := newWorld(t)
	hoa := w.as("hoa")
	var file bytes.Buffer
	file.WriteString(sheetHead)
	for i := range 10 {
		fmt.Fprintf(&file, "Người Số %d,1950,,,,Phường Phú Xuân,046%09d,,\r\n", i, 100_000_000+i)
	}
	_, body := hoa.upload("/the/nhap", url.Values{"card.kind": {"card"}, "card.days": {"365"}, "card.consent": {"1"}}, "card.file", "x.csv", file.Bytes())
	_, body = hoa.post(reportPath.FindString(body), nil)
	batch := batchPath.FindString(body)
	dir := t.TempDir()
	kiosk := filepath.Join(dir, "qrgate-kiosk")
	run(t, "golang", "go", "build", "-o", kiosk, "../../../device")
	today := pass.DayOf(time.UnixMilli(w.now.Load()))
	for _, layout := range []string{"duplex", "fold", "large", "single"} {
		pdf := filepath.Join(dir, layout+".pdf")
		if err := os.WriteFile(pdf, hoa.pdf(batch, layout, "name"), 0o600); err != nil {
			t.Fatal(err)
		}
		run(t, "poppler-utils", "pdftoppm", "-r", "200", "-gray", "-png", pdf, filepath.Join(dir, layout))
		pictures, err := filepath.Glob(filepath.Join(dir, layout+"-*.png"))
		if err != nil {
			t.Fatal(err)
		}
		read := map[string][]uint32{}
		for i, picture := range pictures {
			if layout != "fold" && i%2 == 1 {
				continue // backs
			}
			texts := map[string][]string{"zbar": strings.Fields(run(t, "zbar-tools", "zbarimg", "--raw", "--nodbus", "-q", "-Sdisable", "-Sqrcode.enable", picture))}
			if layout == "single" { // what is held before a kiosk
				var line struct{ Texts []string }
				if err := json.Unmarshal([]byte(run(t, "golang", kiosk, "decode", picture)), &line); err != nil {
					t.Fatal(err)
				}
				texts["kiosk"] = line.Texts
			}
			for who, all := range texts {
				for _, text := range all {
					p, err := pass.Parse(text)
					if err == nil {
						err = pass.Verify(p, w.keys, today)
					}
					if err != nil {
						t.Errorf("%s by %s: %v", layout, who, err)
					}
					read[who] = append(read[who], p.Card.Number)
				}
			}
		}
		want := []uint32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
		for who, numbers := range read {
			if slices.Sort(numbers); !slices.Equal(numbers, want) {
				t.Errorf("%s: %s read cards %v, want %v", layout, who, numbers, want)
			}
		}
		said := run(t, "poppler-utils", "pdftotext", "-enc", "UTF-8", pdf, "-")
		for _, text := range []string{"Người Số 7", pass.TypedCode(7)[:4], "19001075", "Dùng đến 25/11/2027", "Bên kiểm soát dữ liệu: Sở Y tế."} {
			if !strings.Contains(strings.Join(strings.Fields(said), " "), text) {
				t.Errorf("%s does not say %q", layout, text)
			}
		}
	}
}

// run runs a program of a Debian package and returns what it printed.
func run(t *testing.T, debian, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Fatalf("%s is missing: apt-get install %s", name, debian)
	}
	var stderr bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v: %s", name, err, stderr.String())
	}
	return string(out)
}
