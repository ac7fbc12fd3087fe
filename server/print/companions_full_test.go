//go:build full

package print_test

import (
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
	var want []string
	for n := 1; n <= pass.MaxCompanions; n++ {
		want = append(want, pass.CompanionCode(n))
	}
	got := zbar(t, rasterise(t, path))
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("zbar reads %q, want %q", got, want)
	}
}
