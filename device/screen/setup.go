package screen

import (
	"bytes"
	"hash/fnv"
	"image"
	"image/color"
	"image/png"
	"net/http"
	"strconv"
	"strings"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"

	"github.com/qrgate/qrgate/sync/reel"
	"github.com/qrgate/qrgate/sync/words"
)

// setUp returns what changes when the code for telephones does, "" while there is none.
func (o Options) setUp() string {
	if o.SetUp == nil {
		return ""
	}
	text := o.SetUp()
	if text == "" {
		return ""
	}
	h := fnv.New64a()
	h.Write([]byte(text))
	return strconv.FormatUint(h.Sum64(), 36)
}

// ask returns what is said beside the code.
func (o Options) ask() [2]string {
	if o.Ask != nil {
		if vi, en := o.Ask(); vi != "" {
			return [2]string{vi, en}
		}
	}
	said := say(words.TimeAsk)
	return [2]string{said.VI, said.EN}
}

// setUpCode draws the code for telephones.
func (s *Screen) setUpCode(w http.ResponseWriter, r *http.Request) {
	o, _ := s.now()
	if o.SetUp == nil {
		http.NotFound(w, r)
		return
	}
	text := o.SetUp()
	if text == "" {
		http.NotFound(w, r)
		return
	}
	if codes := strings.Split(text, "\n"); len(codes) > 1 {
		w.Header().Set("Content-Type", "image/gif")
		if err := reel.Draw(w, codes); err != nil {
			s.log.Warn("no codes for telephones", "err", err)
		}
		return
	}
	m, err := qrcode.NewQRCodeWriter().Encode(text, gozxing.BarcodeFormat_QR_CODE, 1, 1, nil)
	if err != nil {
		s.log.Warn("no code for telephones", "err", err)
		http.Error(w, "no code", http.StatusInternalServerError)
		return
	}
	const scale = 6
	img := image.NewPaletted(image.Rect(0, 0, scale*m.GetWidth(), scale*m.GetHeight()), color.Palette{color.White, color.Black})
	for y := range img.Rect.Dy() {
		for x := range img.Rect.Dx() {
			if m.Get(x/scale, y/scale) {
				img.SetColorIndex(x, y, 1)
			}
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		http.Error(w, "no code", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "image/png")
	w.Write(b.Bytes())
}
