package carry

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	_ "image/jpeg" // as telephones make them
	_ "image/png"  // of a screen
	"io"
	"net/http"
	"strings"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/reel"
)

// Bounds of pictures that are looked at.
const (
	maxPictures = 64       // of one form
	maxPicture  = 12 << 20 // bytes
	maxPixels   = 16 << 20 // as telephones take them; some forms take eight bytes for each
	maxFrame    = 2 << 20  // bytes of a camera's frame
)

// picture tells the codes that a camera's frame shows, one a line: for a browser that
// cannot read codes itself.
func (p *Pages) picture(w http.ResponseWriter, r *http.Request, _ *page.View) error {
	frame, err := io.ReadAll(r.Body) // before it is its turn: who sends slowly keeps nobody waiting
	if err != nil {
		return fmt.Errorf("carry: frame: %w", err)
	}
	code, err := p.read(bytes.NewReader(frame))
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, err = io.WriteString(w, code)
	return err
}

// pictures returns the codes of the pictures in a form.
func (p *Pages) pictures(r *http.Request, f *page.Form) (codes []string, err error) {
	if r.MultipartForm == nil {
		return nil, nil
	}
	files := r.MultipartForm.File["carry.pictures"]
	if len(files) > maxPictures {
		f.Fail("carry.pictures", "carry.pictures.many", "most", maxPictures)
		return nil, nil
	}
	for _, h := range files {
		if h.Size == 0 {
			continue // none was chosen
		}
		file, err := h.Open()
		if err != nil {
			return nil, fmt.Errorf("carry: picture: %w", err)
		}
		code, err := p.read(file)
		file.Close()
		switch {
		case errors.Is(err, ErrLarge):
			f.Fail("carry.pictures", "carry.pictures.large")
		case errors.Is(err, qrgate.ErrInvalid):
			f.Fail("carry.pictures", "carry.pictures.wrong")
		case err != nil:
			return nil, err
		case code == "":
			f.Fail("carry.pictures", "carry.pictures.none")
		default:
			codes = append(codes, code)
		}
	}
	return codes, nil
}

// read looks at one picture at a time: a large one takes a hundred megabytes.
func (p *Pages) read(from io.Reader) (string, error) {
	p.looking.Lock()
	defer p.looking.Unlock()
	return Look(from)
}

// ErrLarge is returned of a picture with more points or bytes than are looked at.
var ErrLarge = fmt.Errorf("too large: %w", qrgate.ErrInvalid)

// Look returns the code of a reel in a picture, or "" if there is none. What is no
// picture is [qrgate.ErrInvalid].
func Look(from io.Reader) (string, error) {
	room := &io.LimitedReader{R: from, N: maxPicture}
	in := bufio.NewReader(room)
	var head bytes.Buffer
	c, _, err := image.DecodeConfig(io.TeeReader(in, &head))
	if err != nil || c.Width <= 0 || c.Height <= 0 {
		return "", fmt.Errorf("carry: picture: %w", qrgate.ErrInvalid)
	}
	if c.Width > maxPixels/c.Height {
		return "", fmt.Errorf("carry: picture: %w", ErrLarge)
	}
	img, _, err := image.Decode(io.MultiReader(&head, in))
	if err != nil && room.N <= 0 {
		return "", fmt.Errorf("carry: picture: %w", ErrLarge)
	}
	if err != nil {
		return "", fmt.Errorf("carry: picture: %w", qrgate.ErrInvalid)
	}
	// A reader that misses a code at one size finds it at another. The finest points of a
	// screen are noise to it, those of a code far away are not.
	longer := max(c.Width, c.Height)
	for _, side := range []int{960, 1280, 640, 1800} {
		if side > longer && side != 960 {
			continue
		}
		if code := find(shrink(img, min(side, longer))); reel.Is(code) {
			return code, nil
		}
	}
	return "", nil
}

func find(img *image.Gray) string {
	bitmap, err := gozxing.NewBinaryBitmapFromImage(img)
	if err != nil {
		return ""
	}
	// Of every hundred pictures of a screen itself the reader for photographs misses two.
	for _, how := range []gozxing.DecodeHintType{gozxing.DecodeHintType_TRY_HARDER, gozxing.DecodeHintType_PURE_BARCODE} {
		if read, err := qrcode.NewQRCodeReader().Decode(bitmap, map[gozxing.DecodeHintType]any{how: true}); err == nil {
			return strings.TrimSpace(read.GetText())
		}
	}
	return ""
}

// shrink returns a picture in grey whose longer side is so many points, no more than its
// own: each is the mean of those that it is made of.
func shrink(img image.Image, side int) *image.Gray {
	b := img.Bounds()
	longer := max(b.Dx(), b.Dy())
	small := image.NewGray(image.Rect(0, 0, max(1, b.Dx()*side/longer), max(1, b.Dy()*side/longer)))
	w, h, grey := small.Rect.Dx(), small.Rect.Dy(), greyOf(img)
	for y := range h {
		top, end := y*b.Dy()/h, (y+1)*b.Dy()/h
		for x := range w {
			left, right := x*b.Dx()/w, (x+1)*b.Dx()/w
			sum := 0
			for v := top; v < end; v++ {
				for u := left; u < right; u++ {
					sum += int(grey(b.Min.X+u, b.Min.Y+v))
				}
			}
			small.Pix[y*small.Stride+x] = uint8(sum / ((end - top) * (right - left)))
		}
	}
	return small
}

func greyOf(img image.Image) func(x, y int) uint8 {
	switch i := img.(type) {
	case *image.YCbCr:
		return func(x, y int) uint8 { return i.Y[i.YOffset(x, y)] }
	case *image.Gray:
		return func(x, y int) uint8 { return i.GrayAt(x, y).Y }
	}
	return func(x, y int) uint8 { return color.GrayModel.Convert(img.At(x, y)).(color.Gray).Y }
}
