package intro_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"math/rand/v2"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/xuri/excelize/v2"

	"github.com/qrgate/qrgate/server/portal/intro"
	"github.com/qrgate/qrgate/server/portal/pagetest"
)

// flag is a picture whose upper left quarter is red and the rest blue.
func flag(w, h int) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			c := color.RGBA{B: 255, A: 255}
			if x < w/2 && y < h/2 {
				c = color.RGBA{R: 255, A: 255}
			}
			img.SetRGBA(x, y, c)
		}
	}
	return img
}

func jpegOf(t testing.TB, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// exif is a TIFF structure with a place, a device and an orientation.
func exif(order binary.AppendByteOrder, mark string, orientation uint16) []byte {
	b := []byte(mark)
	b = order.AppendUint16(b, 42)
	b = order.AppendUint32(b, 8)
	b = order.AppendUint16(b, 2)
	b = append(order.AppendUint32(order.AppendUint16(order.AppendUint16(b, 0x010f), 2), 4), "Spy\x00"...)
	b = order.AppendUint32(order.AppendUint16(order.AppendUint16(b, 0x0112), 3), 1)
	b = append(order.AppendUint16(b, orientation), 0, 0)
	return order.AppendUint32(b, 0)
}

func withExif(file, tiff []byte) []byte {
	seg := append([]byte("\xff\xe1"), binary.BigEndian.AppendUint16(nil, uint16(2+6+len(tiff)))...)
	seg = append(append(seg, "Exif\x00\x00"...), tiff...)
	return append(append([]byte("\xff\xd8"), seg...), file[2:]...)
}

// A photograph lies as its camera held it, and what is kept says nothing of the
// camera.
func TestUprightAndBare(t *testing.T) {
	at := map[uint16][2]int{1: {0, 0}, 2: {1, 0}, 3: {1, 1}, 4: {0, 1}, 5: {0, 0}, 6: {1, 0}, 7: {1, 1}, 8: {0, 1}} // where the red quarter goes
	for o := uint16(0); o <= 9; o++ {
		for mark, order := range map[string]binary.AppendByteOrder{"II": binary.LittleEndian, "MM": binary.BigEndian} {
			kept, w, h, err := intro.Shrink(t.Context(), withExif(jpegOf(t, flag(80, 40)), exif(order, mark, o)))
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(kept, []byte("Spy")) || bytes.Contains(kept, []byte("Exif")) {
				t.Errorf("orientation %d: metadata is kept", o)
			}
			img, err := jpeg.Decode(bytes.NewReader(kept))
			if err != nil {
				t.Fatal(err)
			}
			wantW, wantH := 80, 40
			if o >= 5 && o <= 8 {
				wantW, wantH = 40, 80
			}
			if w != wantW || h != wantH || img.Bounds().Dx() != w || img.Bounds().Dy() != h {
				t.Errorf("orientation %d: %d x %d, want %d x %d", o, w, h, wantW, wantH)
			}
			want := at[max(min(o, 9)%9, 1)]
			if o == 9 {
				want = at[1]
			}
			for _, q := range [][2]int{{0, 0}, {1, 0}, {0, 1}, {1, 1}} {
				r, _, b, _ := img.At(w/4+q[0]*w/2, h/4+q[1]*h/2).RGBA()
				if red := r > b; red != (q == want) {
					t.Errorf("orientation %d %s: quarter %v is red: %v, want it at %v", o, mark, q, red, want)
				}
			}
		}
	}
}

func TestShrink(t *testing.T) {
	noise := image.NewRGBA(image.Rect(0, 0, 1700, 1300))
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range noise.Pix {
		noise.Pix[i] = uint8(rnd.Uint32())
		if i%4 == 3 {
			noise.Pix[i] = 255
		}
	}
	kept, w, h, err := intro.Shrink(t.Context(), jpegOf(t, noise))
	if err != nil || len(kept) > 100_000 || max(w, h) > 1600 {
		t.Errorf("noise: %d bytes, %d x %d, %v", len(kept), w, h, err)
	}
	if _, w, h, err := intro.Shrink(t.Context(), pagetest.PNG(t, flag(2000, 1500))); err != nil || w != 1600 || h != 1200 {
		t.Errorf("2000 x 1500 = %d x %d, %v", w, h, err)
	}
	if _, w, h, err := intro.Shrink(t.Context(), pagetest.PNG(t, flag(9000, 2))); err != nil || w != 1600 || h != 1 {
		t.Errorf("9000 x 2 = %d x %d, %v", w, h, err)
	}
	// What can be seen through is seen on white.
	kept, _, _, err = intro.Shrink(t.Context(), pagetest.PNG(t, image.NewNRGBA(image.Rect(0, 0, 8, 8))))
	if err != nil {
		t.Fatal(err)
	}
	if img, err := jpeg.Decode(bytes.NewReader(kept)); err != nil || color.GrayModel.Convert(img.At(4, 4)).(color.Gray).Y < 250 {
		t.Errorf("transparent = %v, %v", img.At(4, 4), err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, _, err := intro.Shrink(ended, jpegOf(t, flag(8, 8))); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("after its end = %v", err)
	}
}

// bomb is a small file that says it has very many pixels.
func bomb(t testing.TB) []byte {
	b := pagetest.PNG(t, image.NewGray(image.Rect(0, 0, 1, 1)))
	binary.BigEndian.PutUint32(b[16:], 30_000)
	binary.BigEndian.PutUint32(b[20:], 30_000)
	binary.BigEndian.PutUint32(b[29:], crc(b[12:29]))
	return b
}

// scans is a progressive JPEG of some pixels a side, whose every scan says nothing of all
// of them. scan is that, of as many runs as it takes.
func scans(side, n int) []byte {
	segment := func(marker byte, data ...byte) []byte {
		return append(binary.BigEndian.AppendUint16([]byte{0xff, marker}, uint16(2+len(data))), data...)
	}
	b := []byte{0xff, 0xd8}
	b = append(b, segment(0xdb, append(make([]byte, 1), bytes.Repeat([]byte{1}, 64)...)...)...)
	b = append(b, segment(0xc2, 8, byte(side>>8), byte(side), byte(side>>8), byte(side), 1, 1, 0x11, 0)...)
	// One symbol, of one bit: the next 16,384 blocks and as many as 14 bits say are empty.
	b = append(b, segment(0xc4, append(append([]byte{0x10, 1}, make([]byte, 15)...), 0xe0)...)...)
	blocks := (side + 7) / 8 * ((side + 7) / 8)
	empty := make([]byte, (blocks/16_384+1)*15/8+2)
	for range n {
		b = append(append(b, segment(0xda, 1, 1, 0, 1, 63, 0)...), empty...)
	}
	return append(b, 0xff, 0xd9)
}

// A small file must not keep a processor, and everybody's pictures, waiting for hours.
func TestAPictureOfManyScansIsRefused(t *testing.T) {
	if kept, w, h, err := intro.Shrink(t.Context(), scans(64, 10)); err != nil || w != 64 || h != 64 {
		t.Errorf("10 scans = %d bytes, %d x %d, %v", len(kept), w, h, err)
	}
	if kept, _, _, err := intro.Shrink(t.Context(), scans(4000, 110)); err == nil {
		t.Errorf("110 scans of 16 million pixels = %d bytes, want them refused", len(kept))
	}
}

// BenchmarkShrink is a photograph as a phone takes it, 12 million pixels.
func BenchmarkShrink(b *testing.B) {
	img := image.NewRGBA(image.Rect(0, 0, 4000, 3000))
	for i := range img.Pix {
		img.Pix[i] = uint8(i>>8) | 15
	}
	file := withExif(jpegOf(b, img), exif(binary.BigEndian, "MM", 6))
	b.SetBytes(int64(len(file)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, _, err := intro.Shrink(b.Context(), file); err != nil {
			b.Fatal(err)
		}
	}
}

func TestPictures(t *testing.T) {
	w := newWorld(t)
	w.Post("owner", w.own(), written())
	w.Post("owner", w.own()+"/hien", url.Values{"shown": {"1"}})
	at := w.own() + "/anh"
	good := jpegOf(t, flag(400, 300))
	for _, tt := range []struct {
		name, title string
		file        []byte
		code        int
		says        string
	}{
		{"no title", "", good, 422, "Xin điền chỗ này"},
		{"no file", "Cổng chợ", nil, 422, "Xin chọn một tệp"},
		{"no picture", "Cổng chợ", []byte("GIF89a nothing"), 422, "Không đọc được hình"},
		{"half a picture", "Cổng chợ", good[:len(good)/3], 422, "Không đọc được hình"},
		{"bomb", "Cổng chợ", bomb(t), 422, "40 triệu"},
		{"8 MB", "Cổng chợ", make([]byte, 8<<20+1), 422, "tối đa 8 MB"},
		{"10 MB", "Cổng chợ", make([]byte, 10<<20), 413, "quá lớn"},
		{"good", "Cổng chợ", good, 303, ""},
	} {
		if code, body, _ := w.Upload("owner", at, "picture_file", tt.file, map[string]string{"picture_title": tt.title}); code != tt.code || !strings.Contains(body, tt.says) {
			t.Errorf("%s = %d, want %d with %q: %s", tt.name, code, tt.code, tt.says, body)
		}
	}
	for i := range 7 {
		if code, _, _ := w.Upload("owner", at, "picture_file", good, map[string]string{"picture_title": fmt.Sprintf("Hình %d", i+2)}); code != 303 {
			t.Errorf("picture %d = %d", i+2, code)
		}
	}
	if code, body, _ := w.Upload("owner", at, "picture_file", good, map[string]string{"picture_title": "Hình 9"}); code != 422 || !strings.Contains(body, "Đã đủ 8 hình") {
		t.Errorf("ninth picture = %d", code)
	}
	if code, _, _ := w.Upload("foreign", at, "picture_file", good, map[string]string{"picture_title": "x"}); code != 404 {
		t.Errorf("picture of others = %d", code)
	}
	ids := func() []string {
		_, body, _ := w.Get("owner", at)
		var ids []string
		for _, m := range regexp.MustCompile(`<img src="`+at+`/([a-z0-9]+)"`).FindAllStringSubmatch(body, -1) {
			ids = append(ids, m[1])
		}
		return ids
	}
	before := ids()
	if len(before) != 8 {
		t.Fatalf("pictures = %v", before)
	}
	w.Post("owner", at+"/"+before[1], url.Values{"do": {"up"}})
	if got := ids(); got[0] != before[1] || got[1] != before[0] || got[2] != before[2] {
		t.Errorf("after up = %v, before %v", got, before)
	}
	w.Post("owner", at+"/"+before[2], url.Values{"do": {"name"}, "picture_title": {"Bến <thuyền>"}})
	code, body, _ := w.Get("", w.public())
	if code != 200 || !strings.Contains(body, `alt="Bến &lt;thuyền&gt;"`) || !strings.Contains(body, `src="/anh/`+before[2]) {
		t.Errorf("public page = %d %s", code, body)
	}
	code, _, head := w.Get("", "/anh/"+before[2])
	if code != 200 || head.Get("Content-Type") != "image/jpeg" || head.Get("Cache-Control") != "public, max-age=86400" || head.Get("Set-Cookie") != "" {
		t.Errorf("public picture = %d %v", code, head)
	}
	if code, _, _ := w.Get("guard", at+"/"+before[2]); code != 200 {
		t.Errorf("own picture as guard = %d", code)
	}
	foreign := fmt.Sprintf("/dia-diem/%d/gioi-thieu/anh/%s", w.Other.No, before[2])
	if code, _, _ := w.Get("foreign", foreign); code != 404 {
		t.Errorf("picture under another place = %d", code)
	}
	for _, do := range []string{"delete", "up", "name"} {
		if code, _, _ := w.Post("foreign", foreign, url.Values{"do": {do}, "picture_title": {"x"}}); code != 404 {
			t.Errorf("%s a picture of others = %d", do, code)
		}
	}
	if code, _, _ := w.Post("owner", at+"/"+before[2], url.Values{"do": {"burn"}}); code != 400 {
		t.Errorf("unknown change = %d", code)
	}
	w.Post("owner", at+"/"+before[2], url.Values{"do": {"delete"}})
	if code, _, _ := w.Get("", "/anh/"+before[2]); code != 404 {
		t.Errorf("deleted picture = %d", code)
	}
	w.Post("owner", w.own()+"/hien", url.Values{"shown": {"0"}})
	if code, _, _ := w.Get("", "/anh/"+before[0]); code != 404 {
		t.Errorf("picture of a page taken back = %d", code)
	}
	if code, _, _ := w.Get("owner", at+"/"+before[0]); code != 200 {
		t.Errorf("own picture = %d", code)
	}
}

// sheets returns the two sheets that somebody exports.
func (w *world) sheets(who string) [2][][]string {
	w.T.Helper()
	code, body, _ := w.Get(who, "/bao-cao/gioi-thieu.xlsx")
	if code != 200 {
		w.T.Fatalf("export as %s = %d", who, code)
	}
	book, err := excelize.OpenReader(strings.NewReader(body))
	if err != nil {
		w.T.Fatal(err)
	}
	defer book.Close()
	var sheets [2][][]string
	for i, name := range book.GetSheetList() {
		if sheets[i], err = book.GetRows(name); err != nil {
			w.T.Fatal(err)
		}
		if f, err := book.GetCellFormula(name, "C2"); err != nil || f != "" {
			w.T.Errorf("formula in %s!C2 = %q, %v", name, f, err)
		}
	}
	return sheets
}

func crc(b []byte) uint32 { return crc32.ChecksumIEEE(b) }

// FuzzShrink looks for files that break it. What it returns is a JPEG within the
// bounds. The files to begin with lie in testdata: a photograph that lies on its
// side, a small PNG and WebP, and one that says it is very large.
func FuzzShrink(f *testing.F) {
	f.Fuzz(func(t *testing.T, file []byte) {
		if c, _, err := image.DecodeConfig(bytes.NewReader(file)); err == nil && c.Width*c.Height > 1<<20 && c.Width*c.Height <= 40_000_000 {
			return // slow
		}
		kept, w, h, err := intro.Shrink(t.Context(), file)
		if err != nil {
			return
		}
		c, kind, err := image.DecodeConfig(bytes.NewReader(kept))
		if err != nil || kind != "jpeg" || c.Width != w || c.Height != h || max(w, h) > 1600 || len(kept) > 100_000 {
			t.Errorf("kept %s of %d bytes, %d x %d, said %d x %d, %v", kind, len(kept), c.Width, c.Height, w, h, err)
		}
	})
}
