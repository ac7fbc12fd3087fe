//go:build full

package print_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/makiuchi-d/gozxing"

	"github.com/qrgate/qrgate/server/print"
	"github.com/qrgate/qrgate/sync/e2e/phone"
)

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

// rasterise draws a PDF as a printer would, at 300 dots an inch.
func rasterise(t *testing.T, pdf string) *image.Gray {
	t.Helper()
	base := strings.TrimSuffix(pdf, ".pdf")
	run(t, "poppler-utils", "pdftoppm", "-r", "300", "-gray", "-png", "-singlefile", pdf, base)
	return loadGray(t, base+".png")
}

func loadGray(t *testing.T, path string) *image.Gray {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	gray := image.NewGray(img.Bounds())
	draw.Draw(gray, gray.Rect, img, img.Bounds().Min, draw.Src)
	return gray
}

func zbar(t *testing.T, img *image.Gray) []string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sheet.png")
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return strings.Fields(run(t, "zbar-tools", "zbarimg", "--raw", "--nodbus", "-q", "-Sdisable", "-Sqrcode.enable", path))
}

// kioskReads returns what the kiosk's own eye reads in a frame, through its
// program: this folder may not import it.
func kioskReads(t *testing.T, img *image.Gray) []string {
	t.Helper()
	const width = 1000 // of the frame, as a camera before a poster has it
	path := filepath.Join(t.TempDir(), "frame.png")
	var b bytes.Buffer
	if err := png.Encode(&b, phone.Shrink(img, 1+img.Rect.Dx()/width)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	var line struct{ Texts []string }
	if err := json.Unmarshal([]byte(run(t, "golang", kiosk(t), "decode", path)), &line); err != nil {
		t.Fatal(err)
	}
	return line.Texts
}

var built struct {
	sync.Once
	path string
	err  error
}

func kiosk(t *testing.T) string {
	t.Helper()
	built.Do(func() {
		built.path = filepath.Join(os.TempDir(), fmt.Sprintf("qrgate-kiosk-%d", os.Getpid()))
		var out []byte
		if out, built.err = exec.Command("go", "build", "-o", built.path, "../../device").CombinedOutput(); built.err != nil {
			built.err = fmt.Errorf("%w: %s", built.err, out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.path
}

func TestMain(m *testing.M) {
	code := m.Run()
	os.Remove(built.path)
	os.Exit(code)
}

// allRead checks that three readers that share no way of finding a code read
// want, once, and returns the middles of the three finder patterns: lower left, upper left,
// upper right.
func allRead(t *testing.T, what string, img *image.Gray, want string) []gozxing.ResultPoint {
	t.Helper()
	if got := zbar(t, img); !slices.Equal(got, []string{want}) {
		t.Errorf("%s: zbar read %q, want %q", what, got, want)
	}
	if got := kioskReads(t, img); !slices.Equal(got, []string{want}) {
		t.Errorf("%s: the kiosk read %q, want %q", what, got, want)
	}
	got, finders, err := phone.Search(img)
	if err != nil {
		t.Fatalf("%s: gozxing: %v", what, err)
	}
	if got != want {
		t.Errorf("%s: gozxing read %q, want %q", what, got, want)
	}
	return finders
}

func crop(img *image.Gray, r image.Rectangle) *image.Gray {
	dst := image.NewGray(image.Rect(0, 0, r.Dx(), r.Dy()))
	draw.Draw(dst, dst.Rect, img, r.Min, draw.Src)
	return dst
}

// cover paints a square of 15 per cent of the code's area over it, with its
// middle at the given share of its sides.
func cover(img *image.Gray, finders []gozxing.ResultPoint, x, y float64, ink color.Gray) *image.Gray {
	const modules = 37 // a side of the symbol that holds the sheet's URL
	o, right := finders[1], finders[2]
	module := (right.GetX() - o.GetX()) / (modules - 7)
	left, top, side := o.GetX()-3.5*module, o.GetY()-3.5*module, modules*module
	half := math.Sqrt(0.15) / 2
	r := image.Rect(int(left+(x-half)*side), int(top+(y-half)*side), int(left+(x+half)*side), int(top+(y+half)*side))
	dst := crop(img, img.Rect)
	draw.Draw(dst, r, image.NewUniform(ink), image.Point{}, draw.Src)
	return dst
}

// A poster on a wall is scanned by phones that we do not know, and gets dirty.
func TestPrintIsReadByThreeReaders(t *testing.T) {
	for _, kind := range print.Kinds {
		t.Run(string(kind), func(t *testing.T) {
			s := sheet(kind)
			pdf := filepath.Join(t.TempDir(), "sheet.pdf")
			var b bytes.Buffer
			if err := print.Poster(&b, print.PDF, s); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(pdf, b.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
			img := rasterise(t, pdf)
			// Where there are several codes, all by zbar and one by all readers.
			switch w, h := img.Rect.Dx(), img.Rect.Dy(); kind {
			case print.Stand:
				if got := zbar(t, img); len(got) != 2 {
					t.Errorf("zbar read %q of the sheet, want two codes", got)
				}
				img = crop(img, image.Rect(0, h/2, w, h))
			case print.Stickers:
				if got := zbar(t, img); len(got) != 4 {
					t.Errorf("zbar read %q of the sheet, want four codes", got)
				}
				img = crop(img, image.Rect(0, 0, w/2, h/2))
			}
			finders := allRead(t, "clean", img, s.URL)
			for _, dirt := range []struct {
				what string
				x, y float64
				ink  color.Gray
			}{
				{"white in the middle", 0.5, 0.5, color.Gray{Y: 255}},
				{"black in the middle", 0.5, 0.5, color.Gray{Y: 0}},
				{"white in the lower right", 0.78, 0.78, color.Gray{Y: 255}},
				{"black in the lower right", 0.78, 0.78, color.Gray{Y: 0}},
			} {
				allRead(t, dirt.what, cover(img, finders, dirt.x, dirt.y, dirt.ink), s.URL)
			}
		})
	}
}

// Letters that look right but are not there cannot be searched, copied or read
// aloud.
func TestPrintHoldsVietnameseLetterByLetter(t *testing.T) {
	for _, kind := range print.Kinds {
		s := sheet(kind)
		pdf := filepath.Join(t.TempDir(), "sheet.pdf")
		var b bytes.Buffer
		if err := print.Poster(&b, print.PDF, s); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(pdf, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		text := strings.Join(strings.Fields(run(t, "poppler-utils", "pdftotext", "-raw", "-enc", "UTF-8", pdf, "-")), " ")
		want := []string{
			"Quét mã trước khi vào", "Scan before you enter", s.Place, s.Address, s.Code, s.HelpLine,
			"Không có điện thoại? Đưa thẻ QR cho máy quét hoặc ghi sổ.",
			"Bên kiểm soát dữ liệu: " + s.Controller + ".", "Lưu 21 ngày rồi xóa.", "Bạn có quyền xem, sửa, xóa và phản đối",
			s.Template.Sentences[0].VI, s.Template.Sentences[0].EN, "Bản 3 · in ngày 26/11/2026",
		}
		if kind != print.Sticker && kind != print.Stickers {
			want = append(want, s.Template.Heading[0].VI, s.Template.Heading[1].VI, "Mở máy ảnh, quét mã")
		}
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("%s: no %q in %q", kind, w, text)
			}
		}
	}
}
