//go:build full

package intro_test

import (
	"fmt"
	"image"
	"image/color"
	"math"
	"net/url"
	"strings"
	"testing"

	"github.com/qrgate/qrgate/sync/e2e/browser"
)

// stall is a picture with something to see.
func stall(hue float64) image.Image {
	img := image.NewRGBA(image.Rect(0, 0, 1200, 800))
	for y := range 800 {
		for x := range 1200 {
			a := math.Sin(float64(x)/90+hue)*math.Cos(float64(y)/70+2*hue)*0.5 + 0.5
			img.SetRGBA(x, y, color.RGBA{R: uint8(120 + 110*a), G: uint8(90 + 80*math.Sin(hue+a)), B: uint8(90 + 100*(1-a)), A: 255})
		}
	}
	return img
}

// Every page fits its window, and what the browser complains of is nothing.
func TestPages(t *testing.T) {
	w := newWorld(t)
	form := written()
	form.Set("about", "Chợ Đông Ba nằm bên bờ bắc sông Hương, là chợ lớn và lâu đời nhất của Huế.\n\nTầng một bán thực phẩm, đặc sản và hàng khô. Tầng hai bán vải vóc và quần áo may sẵn. Cổng chính ở đường Trần Hưng Đạo, có chỗ gửi xe.")
	form.Set("offers", "6")
	for i, o := range [][3]string{{"Nón lá bài thơ", "85.000", "làm tại làng Tây Hồ"}, {"Mè xửng Thiên Hương", "45.000", "hộp 400 g"}, {"May áo dài", "từ 600.000 đ, theo thỏa thuận", "nhận sau 3 ngày"}} {
		form.Set(fmt.Sprintf("offer_%d_name", i+1), o[0])
		form.Set(fmt.Sprintf("offer_%d_price", i+1), o[1])
		form.Set(fmt.Sprintf("offer_%d_note", i+1), o[2])
	}
	w.Post("owner", w.own(), form)
	for i, title := range []string{"Cổng chính nhìn từ đường Trần Hưng Đạo", "Quầy nón lá", "Hàng vải tầng hai"} {
		if code, body, _ := w.Upload("owner", w.own()+"/anh", "picture_file", jpegOf(t, stall(float64(i))), map[string]string{"picture_title": title}); code != 303 {
			t.Fatalf("picture = %d %s", code, body)
		}
	}
	w.Post("owner", w.own()+"/hien", url.Values{"shown": {"1"}})
	tab := browser.Start(t).Open()
	tab.Visit(w.URL + "/blank")
	tab.Eval("document.cookie = 'lang=vi; path=/'")
	tab.Eval("fetch('/as/owner', {method: 'POST'}).then(() => 1)")
	for name, path := range map[string]string{"edit": w.own(), "pictures": w.own() + "/anh", "preview": w.own() + "/xem", "public": w.public(), "none": "/gt/99"} {
		for _, width := range []int{360, 768, 1280} {
			for _, scheme := range []string{"light", "dark"} {
				if scheme == "dark" && width != 768 {
					continue
				}
				tab.Look(width, 800, scheme)
				tab.Visit(w.URL + path)
				if tab.Eval("document.documentElement.scrollWidth > innerWidth") == true {
					t.Errorf("%s is wider than %d", path, width)
				}
				height := int(tab.Eval("Math.min(document.documentElement.scrollHeight, 6000)").(float64))
				tab.Look(width, height, scheme)
				tab.Wait("[...document.images].every((i) => { i.loading = 'eager'; return i.complete && i.naturalWidth > 0; })")
				tab.Shoot(fmt.Sprintf("intro-%s-%d-%s", name, width, scheme))
			}
		}
	}
	for _, c := range tab.Complaints() {
		if !strings.Contains(c, "404") { // of the page that is not there
			t.Error("console: ", c)
		}
	}
}
