package print_test

import (
	"bytes"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/qrgate/qrgate/server/print"
	"github.com/qrgate/qrgate/sync/e2e/phone"
)

func sheet(kind print.Kind) print.Sheet {
	return print.Sheet{
		Kind:          kind,
		URL:           "https://qr.example.vn/p/AAADAOM2-3",
		Place:         "Chợ Đông Ba",
		Address:       "2 Trần Hưng Đạo, phường Phú Xuân, thành phố Huế",
		Code:          "AAADAOM2-3",
		Version:       3,
		Printed:       time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC),
		HelpLine:      "1900 1075",
		Controller:    "Sở Khoa học và Công nghệ thành phố Huế",
		RetentionDays: 21,
		Template: print.Template{
			Version: 2,
			Heading: []print.Text{
				{VI: "ỦY BAN NHÂN DÂN THÀNH PHỐ HUẾ", EN: "People's Committee of Huế"},
				{VI: "BAN CHỈ ĐẠO PHÒNG, CHỐNG DỊCH", EN: "Steering Committee"},
			},
			Sentences: []print.Text{{VI: "Mọi người vào điểm này đều quét mã hoặc đưa thẻ.", EN: "Everyone who enters scans the code or shows a card."}},
		},
	}
}

// hostile texts are those that layouts break on.
var hostile = map[string]string{
	"empty":      "",
	"short":      "Hẻm",
	"long":       "Trung tâm Phục vụ hành chính công và Trung tâm Giám sát, điều hành đô thị thông minh thuộc Sở Thông tin và Truyền thông",
	"no spaces":  strings.Repeat("Nguyễn", 40),
	"wide":       strings.Repeat("W", 500),
	"emoji":      "Phở 🍜👨‍👩‍👧‍👦 Bà Tư 🇻🇳",
	"controls":   "Quán\x00\x1b[31m\r\nĂn\tNgon\u2028\u202eđảo\u200b",
	"arabic":     "مطعم هوي",
	"marks":      "Z" + strings.Repeat("\u0301", 300),
	"decomposed": "Cho\u031b\u0323 Đo\u0302ng Ba",
	"not utf-8":  "Ch\xff\xfe\xc3",
	"markup":     `</title><script>"&'(\)`,
	"endless":    strings.Repeat("Chợ ", 5000),
	"no-break":   strings.Repeat("\u00a0", 300),
}

func everywhere(s print.Sheet, text string) print.Sheet {
	s.Place, s.Address, s.Code, s.HelpLine, s.Controller = text, text, text, text, text
	t := print.Text{VI: text, EN: text}
	s.Template.Heading = []print.Text{t, t, t, t, t, t}
	s.Template.Sentences = []print.Text{t, t}
	return s
}

func poster(t testing.TB, f print.Format, s print.Sheet) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := print.Poster(&b, f, s); err != nil {
		t.Fatalf("Poster(%s, %s) = %v", f, s.Kind, err)
	}
	return b.Bytes()
}

func picture(t testing.TB, s print.Sheet) *image.RGBA {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(poster(t, print.PNG, s)))
	if err != nil {
		t.Fatal(err)
	}
	rgba := image.NewRGBA(img.Bounds())
	draw.Draw(rgba, rgba.Rect, img, image.Point{}, draw.Src)
	return rgba
}

func read(t testing.TB, img image.Image) string {
	t.Helper()
	text, err := phone.Read(img)
	if err != nil {
		t.Errorf("not read: %v", err)
	}
	return text
}

// A face of the sheet with one code, where there are several.
func oneCode(kind print.Kind, img *image.RGBA) image.Image {
	r := img.Rect
	switch kind {
	case print.Stand:
		r.Min.Y = r.Dy() / 2
	case print.Stickers:
		r.Max.X, r.Max.Y = r.Dx()/2, r.Dy()/2
	}
	return img.SubImage(r)
}

func TestPosterReadsBack(t *testing.T) {
	urls := []string{
		"https://a.vn/p/A-1",
		"https://qr.example.vn/p/AAADAOM2-3",
		"https://" + strings.Repeat("qr.", 27) + "example.vn/p/AAADAOM2-3",
	}
	for _, kind := range print.Kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			for _, url := range urls {
				s := sheet(kind)
				s.URL, s.PixelWidth = url, 500
				if kind == print.Stickers {
					s.PixelWidth = 1000
				}
				if got := read(t, oneCode(kind, picture(t, s))); got != url {
					t.Errorf("read %q, want %q", got, url)
				}
			}
		})
	}
}

func TestPosterPNGSize(t *testing.T) {
	file := poster(t, print.PNG, sheet(print.Sticker))
	if c, err := png.DecodeConfig(bytes.NewReader(file)); err != nil || c.Width != 1181 || c.Height != 1181 {
		t.Errorf("10 cm at 300 dots an inch: %d x %d, %v", c.Width, c.Height, err)
	}
	if i := bytes.Index(file, []byte("pHYs")); i < 0 {
		t.Error("no density")
	} else if x := binary.BigEndian.Uint32(file[i+4:]); x != 11811 {
		t.Errorf("%d pixels a metre, want 11811: 300 an inch", x)
	}
	s := sheet(print.PosterA4)
	s.PixelWidth = 800
	if c, err := png.DecodeConfig(bytes.NewReader(poster(t, print.PNG, s))); err != nil || c.Width != 800 || c.Height != 1131 {
		t.Errorf("800 pixels asked for: %d x %d, %v", c.Width, c.Height, err)
	}
}

// On A4 the code is 15 x 15 cm. Nothing else is quite black.
func TestPosterCodeSize(t *testing.T) {
	s := sheet(print.PosterA4)
	s.PixelWidth = 1050
	img := picture(t, s)
	code := image.Rectangle{}
	for y := range img.Rect.Dy() {
		row := img.Pix[y*img.Stride:]
		for x := range img.Rect.Dx() {
			if row[4*x] == 0 && row[4*x+1] == 0 && row[4*x+2] == 0 {
				code = code.Union(image.Rect(x, y, x+1, y+1))
			}
		}
	}
	if mm := float64(min(code.Dx(), code.Dy())) / 5; mm < 149.6 {
		t.Errorf("the code is %.1f mm wide, want 150", mm)
	}
}

func TestPosterPaper(t *testing.T) {
	for kind, want := range map[print.Kind]string{
		print.PosterA4: `width="210mm" height="297mm"`, print.PosterA5: `width="148mm" height="210mm"`,
		print.Stand: `width="210mm" height="297mm"`, print.Post: `width="297mm" height="420mm"`,
		print.Sticker: `width="100mm" height="100mm"`, print.Stickers: `width="210mm" height="297mm"`,
	} {
		if svg := poster(t, print.SVG, sheet(kind)); !bytes.Contains(svg, []byte(want)) {
			t.Errorf("%s: not %s", kind, want)
		}
	}
}

// A name of 120 characters is whole on every kind, to the letter.
func TestLongNameIsWhole(t *testing.T) {
	name := hostile["long"]
	if n := utf8.RuneCountInString(name); n < 115 {
		t.Fatalf("the name has %d characters", n)
	}
	for _, kind := range print.Kinds {
		s := sheet(kind)
		s.Place = name
		dec := xml.NewDecoder(bytes.NewReader(poster(t, print.SVG, s)))
		var said strings.Builder
		for {
			tok, err := dec.Token()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if e, ok := tok.(xml.StartElement); ok {
				for _, a := range e.Attr {
					if a.Name.Local == "aria-label" {
						said.WriteString(a.Value + " ")
					}
				}
			}
		}
		if !strings.Contains(said.String(), name) {
			t.Errorf("%s: the name is not whole in %q", kind, said.String())
		}
	}
}

// Nothing may stand in the margin nor in the code's quiet zone, whatever is
// said: where text left its box it would show here.
func TestPosterStaysInItsBoxes(t *testing.T) {
	type mm struct{ x0, y0, x1, y1 float64 }
	// On A4 the code stands below a band of 44 mm, with 37 modules on its side.
	const module = 150.0 / 37
	quiet := mm{30 - 4*module, 54, 180 + 4*module, 54 + 150 + 8*module}
	margins := map[print.Kind]float64{print.PosterA4: 10, print.PosterA5: 10, print.Post: 10, print.Sticker: 6}
	for name, text := range hostile {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for kind, margin := range margins {
				s := everywhere(sheet(kind), text)
				s.PixelWidth = 300
				img := picture(t, s)
				width := map[print.Kind]float64{print.PosterA4: 210, print.PosterA5: 148, print.Post: 297, print.Sticker: 100}[kind]
				scale := float64(img.Rect.Dx()) / width
				inner := img.Rect.Inset(int(margin*scale) - 1)
				q := image.Rect(int(quiet.x0*scale)+1, int(quiet.y0*scale)+1, int(quiet.x1*scale)-1, int(quiet.y1*scale)-1)
				code := image.Rect(int(30*scale)-1, int((54+4*module)*scale)-1, int(180*scale)+1, int((54+4*module+150)*scale)+1)
				for y := range img.Rect.Dy() {
					row := img.Pix[y*img.Stride:]
					for x := range img.Rect.Dx() {
						if row[4*x] == 255 && row[4*x+1] == 255 && row[4*x+2] == 255 {
							continue
						}
						p := image.Pt(x, y)
						if !p.In(inner) || kind == print.PosterA4 && p.In(q) && !p.In(code) {
							t.Fatalf("%s: ink at %.1f, %.1f mm", kind, float64(x)/scale, float64(y)/scale)
						}
					}
				}
			}
		})
	}
}

func TestPosterOfHostileTexts(t *testing.T) {
	for name, text := range hostile {
		for _, kind := range []print.Kind{print.PosterA4, print.Stand, print.Sticker} {
			s := everywhere(sheet(kind), text)
			if !bytes.HasPrefix(poster(t, print.PDF, s), []byte("%PDF-")) {
				t.Errorf("%s, %s: not a PDF", name, kind)
			}
			dec := xml.NewDecoder(bytes.NewReader(poster(t, print.SVG, s)))
			for {
				_, err := dec.Token()
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatalf("%s, %s: SVG: %v", name, kind, err)
				}
			}
		}
	}
}

func TestPosterIsTheSameFileEachTime(t *testing.T) {
	for _, kind := range print.Kinds {
		for _, f := range []print.Format{print.PDF, print.SVG} {
			s := sheet(kind)
			s.Template.Emblem = emblem(t, 40, 60)
			first := poster(t, f, s)
			if !bytes.Equal(poster(t, f, s), first) {
				t.Errorf("Poster(%s, %s) differs between two calls", f, kind)
			}
			if f == print.PDF {
				s.Printed = s.Printed.Add(time.Second)
				if bytes.Equal(poster(t, f, s), first) {
					t.Errorf("Poster(%s, %s) at another time is the same file", f, kind)
				}
			}
		}
	}
}

// The words are in the SVG for those who cannot see its outlines.
func TestSVGSaysItsWords(t *testing.T) {
	svg := string(poster(t, print.SVG, sheet(print.PosterA4)))
	for _, want := range []string{"<title>Chợ Đông Ba</title>", `aria-label="Quét mã trước khi vào"`, `aria-label="AAADAOM2-3"`, `width="210mm" height="297mm"`} {
		if !strings.Contains(svg, want) {
			t.Errorf("no %s", want)
		}
	}
}

func emblem(t testing.TB, w, h int) []byte {
	t.Helper()
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	draw.Draw(img, img.Rect, image.NewUniform(color.NRGBA{200, 30, 30, 255}), image.Point{}, draw.Src)
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestEmblem(t *testing.T) {
	for _, kind := range print.Kinds {
		if kind == print.Sticker || kind == print.Stickers {
			continue // no room for one
		}
		s := sheet(kind)
		s.PixelWidth = 600
		s.Template.Emblem = emblem(t, 40, 60)
		img, n := picture(t, s), 0
		for i := 0; i < len(img.Pix); i += 4 {
			if img.Pix[i] == 200 && img.Pix[i+1] == 30 && img.Pix[i+2] == 30 {
				n++
			}
		}
		if n < 100 {
			t.Errorf("%s: %d pixels of the emblem", kind, n)
		}
		poster(t, print.PDF, s)
		poster(t, print.SVG, s)
	}
}

func TestPosterRefuses(t *testing.T) {
	ok := sheet(print.PosterA4)
	with := func(f func(*print.Sheet)) print.Sheet { s := ok; f(&s); return s }
	tests := []struct {
		name   string
		sheet  print.Sheet
		format print.Format
		want   error
	}{
		{"no URL", with(func(s *print.Sheet) { s.URL = "" }), print.PDF, print.ErrURL},
		{"no host", with(func(s *print.Sheet) { s.URL = "https:///p/A" }), print.PDF, print.ErrURL},
		{"another scheme", with(func(s *print.Sheet) { s.URL = "javascript:alert(1)" }), print.PDF, print.ErrURL},
		{"URL with marks", with(func(s *print.Sheet) { s.URL = "https://huế.vn/p/A" }), print.PDF, print.ErrURL},
		{"long URL", with(func(s *print.Sheet) { s.URL = "https://a.vn/" + strings.Repeat("a", print.MaxURL) }), print.PDF, print.ErrURL},
		{"emblem of noise", with(func(s *print.Sheet) { s.Template.Emblem = []byte("GIF89a") }), print.PDF, print.ErrEmblem},
		{"large emblem", with(func(s *print.Sheet) { s.Template.Emblem = emblem(t, 3000, 1) }), print.PDF, print.ErrEmblem},
		{"cut emblem", with(func(s *print.Sheet) { s.Template.Emblem = emblem(t, 40, 40)[:60] }), print.PDF, print.ErrEmblem},
		{"no kind", with(func(s *print.Sheet) { s.Kind = "" }), print.PDF, nil},
		{"no format", ok, "", nil},
		{"too many pixels", with(func(s *print.Sheet) { s.PixelWidth = print.MaxPixels + 1 }), print.PNG, nil},
	}
	for _, tt := range tests {
		var b bytes.Buffer
		err := print.Poster(&b, tt.format, tt.sheet)
		if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%s: error = %v, want %v", tt.name, err, tt.want)
		}
		if b.Len() > 0 {
			t.Errorf("%s: %d bytes written", tt.name, b.Len())
		}
	}
}

func FuzzPoster(f *testing.F) {
	for _, text := range hostile {
		f.Add(text, text, uint8(0))
	}
	f.Add("Chợ Đông Ba", "Huế", uint8(len(print.Kinds)))
	f.Add("Chợ Đông Ba", "Huế", uint8(2*len(print.Kinds)))
	f.Fuzz(func(t *testing.T, place, other string, kind uint8) {
		s := everywhere(sheet(print.Kinds[int(kind)%len(print.Kinds)]), other)
		s.Place = place
		switch int(kind) / len(print.Kinds) % 3 {
		case 0:
			if err := xml.Unmarshal(poster(t, print.SVG, s), new(struct{})); err != nil {
				t.Error(err)
			}
		case 1:
			poster(t, print.PDF, s)
		case 2:
			s.PixelWidth = 60
			picture(t, s)
		}
	})
}

func BenchmarkPosterPDF(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if err := print.Poster(io.Discard, print.PDF, sheet(print.PosterA4)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPosterSVG(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if err := print.Poster(io.Discard, print.SVG, sheet(print.PosterA4)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPosterHostile lays out what fits nowhere.
func BenchmarkPosterHostile(b *testing.B) {
	for b.Loop() {
		if err := print.Poster(io.Discard, print.SVG, everywhere(sheet(print.PosterA4), hostile["endless"])); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPosterPNG(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if err := print.Poster(io.Discard, print.PNG, sheet(print.PosterA4)); err != nil {
			b.Fatal(err)
		}
	}
}
