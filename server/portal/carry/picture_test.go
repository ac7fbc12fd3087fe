package carry_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/gif"
	"image/jpeg"
	"math"
	"math/rand/v2"
	"mime/multipart"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/qrgate/qrgate/server/ingest"
	"github.com/qrgate/qrgate/server/portal/carry"
	"github.com/qrgate/qrgate/server/portal/pagetest"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/reel"
)

// screens returns codes as a kiosk's screen shows them.
func screens(t testing.TB, codes []string) []*image.Paletted {
	t.Helper()
	var b bytes.Buffer
	if err := reel.Draw(&b, codes); err != nil {
		t.Fatal(err)
	}
	film, err := gif.DecodeAll(&b)
	if err != nil {
		t.Fatal(err)
	}
	return film.Image
}

// photograph is what a telephone makes of a screen: somewhat turned, on a grey ground,
// uneven, with noise.
func photograph(t testing.TB, screen *image.Paletted, w, h int, size, turn float64) []byte {
	t.Helper()
	random := rand.New(rand.NewPCG(1, uint64(w)))
	img := image.NewYCbCr(image.Rect(0, 0, w, h), image.YCbCrSubsampleRatio420)
	for i := range img.Cb {
		img.Cb[i], img.Cr[i] = 128, 128
	}
	side := float64(min(w, h)) * size
	sin, cos := math.Sincos(turn)
	from := float64(screen.Bounds().Dx())
	for y := range h {
		for x := range w {
			dx, dy := float64(x-w/2), float64(y-h/2)
			u, v := ((dx*cos+dy*sin)/side+.5)*from, ((dy*cos-dx*sin)/side+.5)*from
			grey := 90.0
			if u >= 0 && v >= 0 && u < from && v < from {
				grey = 190 - 150*float64(screen.ColorIndexAt(int(u), int(v))) // white comes first
			}
			grey += 40*float64(x)/float64(w) + 12*random.NormFloat64()
			img.Y[img.YOffset(x, y)] = uint8(max(0, min(255, grey)))
		}
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, &jpeg.Options{Quality: 70}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestAPhotographOfACodeIsRead(t *testing.T) {
	codes := reel.Cut(bytes.Repeat([]byte("a bundle"), 80))
	screen := screens(t, codes)[0]
	for name, picture := range map[string][]byte{
		"a camera's frame":        photograph(t, screen, 1280, 720, .8, .1),
		"an upright frame":        photograph(t, screen, 720, 1280, .9, -.1),
		"a telephone's":           photograph(t, screen, 2000, 1500, .7, .05),
		"a telephone's, far away": photograph(t, screen, 2600, 2000, .35, math.Pi/2),
	} {
		if got, err := carry.Look(bytes.NewReader(picture)); err != nil || got != codes[0] {
			t.Errorf("%s: %.20q, %v", name, got, err)
		}
	}
	whole := pagetest.PNG(t, screen)
	if got, err := carry.Look(bytes.NewReader(whole)); err != nil || got != codes[0] {
		t.Errorf("a picture of the screen itself: %.20q, %v", got, err)
	}
	for name, file := range map[string][]byte{"nothing": nil, "text": []byte("<html>"), "half": whole[:len(whole)/2], "a head": whole[:40]} {
		if got, err := carry.Look(bytes.NewReader(file)); !errors.Is(err, qrgate.ErrInvalid) {
			t.Errorf("%s: %.20q, %v; want %v", name, got, err, qrgate.ErrInvalid)
		}
	}
}

// Every code of a reel is read off a frame that holds it straight, the small one at its end
// too: a camera that stands still sees the same frames over and over.
func TestEveryCodeOfAReelIsRead(t *testing.T) {
	for _, b := range [][]byte{bytes.Repeat([]byte{7}, 3*reel.Piece+50), bytes.Repeat([]byte("QRGATE-BUNDLE 1 "), 5*reel.Piece/16)} {
		codes := reel.Cut(b)
		for i, img := range screens(t, codes) {
			if got, err := carry.Look(bytes.NewReader(photograph(t, img, 1280, 720, .9, 0))); err != nil || got != codes[i] {
				t.Errorf("code %d of %d: %.20q, %v", i+1, len(codes), got, err)
			}
		}
	}
}

// A telephone that takes more points than are looked at is told to take less, not that this
// is no picture.
func TestATooLargePhotographIsCalledSo(t *testing.T) {
	for name, picture := range map[string][]byte{"of 48 million points": chunks(8000, 6000, 0), "of 13 MB": chunks(800, 600, 13<<20)} {
		w, _ := newWorld(t)
		if _, body := handInPictures(t, w, "", picture); !strings.Contains(body, "ảnh quá lớn") || strings.Contains(body, "không phải ảnh") {
			t.Errorf("a picture %s: it is not said that it is too large", name)
		}
	}
}

// chunks is how a PNG of so many points begins, with so many bytes before the points.
func chunks(w, h uint32, before int) []byte {
	b := []byte("\x89PNG\r\n\x1a\n")
	add := func(kind string, data []byte) {
		body := append([]byte(kind), data...)
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(data))), body...)
		b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(body))
	}
	add("IHDR", append(binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, w), h), 8, 0, 0, 0, 0))
	add("tEXt", make([]byte, before))
	return b
}

// Pictures are handed in a few at a time; what was read stays until the last has come.
func TestPicturesAreHandedIn(t *testing.T) {
	w, in := newWorld(t)
	in.c = ingest.Carried{Batches: 1, Records: 3, Fresh: 3}
	codes := reel.Cut(bundle(t, bytes.Repeat([]byte{7}, 3*reel.Piece)))
	pictures := screens(t, codes)
	status, body := handInPictures(t, w, "", photograph(t, pictures[0], 1280, 720, .9, 0), []byte("no picture"))
	if status != 422 || !strings.Contains(body, codes[0]) || !strings.Contains(body, "JPEG") {
		t.Fatalf("the first picture: %d\n%s", status, body)
	}
	var rest [][]byte
	for _, p := range pictures[1:] {
		rest = append(rest, photograph(t, p, 1280, 720, .9, 0))
	}
	if status, body = handInPictures(t, w, codes[0], rest...); status != 200 || !strings.Contains(body, "3 bản ghi mới") {
		t.Errorf("the rest: %d\n%s", status, body)
	}
}

func handInPictures(t *testing.T, w *pagetest.World, codes string, pictures ...[]byte) (int, string) {
	t.Helper()
	var body bytes.Buffer
	m := multipart.NewWriter(&body)
	err := m.WriteField("carry.codes", codes)
	for _, p := range pictures {
		part, e := m.CreateFormFile("carry.pictures", "x.jpg")
		if e == nil {
			_, e = part.Write(p)
		}
		err = errors.Join(err, e)
	}
	if err = errors.Join(err, m.Close()); err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("POST", w.URL+at+"/ma", &body)
	r.Header.Set("Content-Type", m.FormDataContentType())
	status, page, _ := w.Do("admin", r)
	return status, page
}

// Whatever somebody hands in as a picture, the answer is a code of a reel or none.
func FuzzLook(f *testing.F) {
	screen := screens(f, reel.Cut([]byte("a bundle")))[0]
	f.Add(photograph(f, screen, 320, 240, .9, 0))
	f.Add(pagetest.PNG(f, screen))
	f.Add([]byte("\x89PNG\r\n\x1a\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		code, err := carry.Look(bytes.NewReader(file))
		if err != nil && (code != "" || !errors.Is(err, qrgate.ErrInvalid)) || code != "" && !reel.Is(code) {
			t.Fatalf("Look() = %q, %v", code, err)
		}
	})
}
