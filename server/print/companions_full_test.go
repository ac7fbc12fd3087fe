//go:build full

package print_test

import (
	"image"
	"image/draw"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/print"
	"github.com/qrgate/qrgate/sync/pass"
)

func TestCompanionsAreReadFromPaper(t *testing.T) {
	path := filepath.Join(t.ArtifactDir(), "companions.pdf")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := print.Companions(f, "Chợ Đông Ba", time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC)); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	sheet := rasterise(t, path)
	// One at a time, as somebody holds a telephone or a card before it.
	w, h := sheet.Rect.Dx(), sheet.Rect.Dy()
	for n := range pass.MaxCompanions {
		x, y := n%2*w/2, h*46/297+n/2*h*80/297
		one := image.NewGray(image.Rect(0, 0, w/2, h*80/297))
		draw.Draw(one, one.Rect, sheet, image.Pt(x, y), draw.Src)
		if got, want := zbar(t, one), pass.CompanionCode(n+1); !slices.Equal(got, []string{want}) {
			t.Errorf("zbar reads %q, want %q", got, want)
		}
	}
}
