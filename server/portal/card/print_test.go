package card_test

import (
	"bytes"
	"compress/zlib"
	"image"
	"image/color"
	"image/draw"
	"io"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/qrgate/qrgate/sync/e2e/phone"
	"github.com/qrgate/qrgate/sync/pass"
)

// pagesOf draws the rectangles of each drawing in a PDF of ours, of which codes are
// made. The full tests look at the whole picture.
func pagesOf(t *testing.T, pdf []byte, width, height float64) []*image.Gray {
	t.Helper()
	var pages []*image.Gray
	for _, part := range bytes.Split(pdf, []byte(">>stream\n"))[1:] {
		body, _, _ := bytes.Cut(part, []byte("\nendstream"))
		z, err := zlib.NewReader(bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		plain, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(plain, []byte("q 2.83")) {
			continue // a font
		}
		img := image.NewGray(image.Rect(0, 0, int(width*dots), int(height*dots)))
		draw.Draw(img, img.Rect, image.White, image.Point{}, draw.Src)
		var stack []float64
		var shade uint8
		for _, token := range strings.Fields(string(plain)) {
			if v, err := strconv.ParseFloat(token, 64); err == nil {
				stack = append(stack, v)
				continue
			}
			switch n := len(stack); {
			case token == "rg" && n >= 3:
				shade = uint8(math.Round(255 * (stack[n-3] + stack[n-2] + stack[n-1]) / 3))
			case token == "re" && n >= 4:
				x, y, w, h := stack[n-4]*dots, stack[n-3]*dots, stack[n-2]*dots, stack[n-1]*dots
				at := image.Rect(int(math.Round(x)), int(math.Round(y)), int(math.Round(x+w)), int(math.Round(y+h)))
				draw.Draw(img, at, image.NewUniform(color.Gray{Y: shade}), image.Point{}, draw.Src)
			}
			stack = stack[:0]
		}
		pages = append(pages, img)
	}
	return pages
}

// dots to the millimetre
const dots = 20

// read reads a part of a picture, given in millimetres.
func read(img *image.Gray, part image.Rectangle) (string, error) {
	part = image.Rectangle{part.Min.Mul(dots), part.Max.Mul(dots)}
	alone := image.NewGray(image.Rect(0, 0, part.Dx(), part.Dy()))
	draw.Draw(alone, alone.Rect, img, part.Min, draw.Src)
	return phone.Read(alone)
}

// What clerks issue on their pages and print is what a door admits: and what they
// replace or revoke is not.
func TestPrintToScan(t *testing.T) {
	w := newWorld(t)
	hoa := w.as("hoa")
	batch := hoa.issued(hoa.register(), "family")
	today := pass.DayOf(time.UnixMilli(w.now.Load()))
	for _, tt := range []struct {
		layout        string
		width, height float64
		first         image.Rectangle // where the first card's code is, in millimetres
	}{
		{"single", 85.6, 53.98, image.Rect(0, 0, 43, 54)}, {"duplex", 210, 297, image.Rect(19, 13, 62, 67)},
		{"fold", 210, 297, image.Rect(19, 13, 62, 67)}, {"large", 210, 297, image.Rect(0, 0, 105, 148)},
	} {
		pages := pagesOf(t, hoa.pdf(batch, tt.layout, "name"), tt.width, tt.height)
		text, err := read(pages[0], tt.first)
		if err != nil {
			t.Fatalf("%s: %v", tt.layout, err)
		}
		p, err := pass.Parse(text)
		if err != nil {
			t.Fatalf("%s: %v", tt.layout, err)
		}
		want := pass.OwnCard{Kind: pass.Family, Key: 3, Number: 1, Issue: 1, First: today, Last: today + 364, People: 4}
		if p.Card != want {
			t.Errorf("%s: the card says %+v, want %+v", tt.layout, p.Card, want)
		}
		for day, ok := range map[pass.Day]bool{today - 1: false, today: true, today + 364: true, today + 365: false} {
			if err := pass.Verify(p, w.keys, day); (err == nil) != ok {
				t.Errorf("%s: Verify on %s = %v", tt.layout, day, err)
			}
		}
		if err := pass.Verify(p, pass.Keys{3: {Public: make([]byte, 32)}}, today); err == nil {
			t.Errorf("%s: another key verifies it", tt.layout)
		}
	}
}

// Whatever bit of a card's text is wrong, it is no card.
func TestNoBitOfACardMayBeWrong(t *testing.T) {
	w := newWorld(t)
	text := w.text(12, 1)
	today := pass.DayOf(time.UnixMilli(w.now.Load()))
	for i := range len(text) {
		for bit := range 8 {
			wrong := []byte(text)
			wrong[i] ^= 1 << bit
			p, err := pass.Parse(string(wrong))
			if err == nil {
				err = pass.Verify(p, w.keys, today)
			}
			if err == nil {
				t.Errorf("bit %d of character %d may be wrong", bit, i)
			}
		}
	}
}

// A thousand people from a spreadsheet are a thousand codes, each one's own.
func TestThousandFromASpreadsheet(t *testing.T) {
	w := newWorld(t)
	hoa := w.as("hoa")
	var file bytes.Buffer
	file.WriteString(sheetHead)
	const people = 1000
	for i := range people {
		file.WriteString("Người Số " + strconv.Itoa(i) + ",1950,,,,Phường Phú Xuân,046" + strconv.Itoa(100_000_000+i) + ",,\r\n")
	}
	status, body := hoa.upload("/the/nhap", map[string][]string{"card.kind": {"card"}, "card.days": {"365"}, "card.consent": {"1"}}, "card.file", "x.csv", file.Bytes())
	w.want("report", status, body, 200, "Đăng ký và cấp 1.000 thẻ", "Còn 980 dòng nữa")
	status, body = hoa.post(reportPath.FindString(body), nil)
	w.want("taken in", status, body, 200, "Đợt 1.000 thẻ")
	pdf := hoa.pdf(batchPath.FindString(body), "duplex", "initials")
	if !bytes.Contains(pdf, []byte("/Count 200/")) {
		t.Errorf("a thousand cards are not a hundred sheets")
	}
}
