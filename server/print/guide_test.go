package print_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/print"
)

var manual = print.Manual{Release: "1.4.0", Portal: "https://diem-danh.soyte.thuathienhue.gov.vn", HelpLine: "19001075", Printed: time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)}

func guideFile(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	if err := print.Guide(&b, manual); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.ArtifactDir(), "guide.pdf")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestGuideIsTheSameEachTime(t *testing.T) {
	var a, b bytes.Buffer
	for _, w := range []*bytes.Buffer{&a, &b} {
		if err := print.Guide(w, manual); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(a.Bytes(), b.Bytes()) || a.Len() > 1<<20 {
		t.Errorf("two guides of %d and %d bytes", a.Len(), b.Len())
	}
	guideFile(t)
}

// An address that is the machine's own sends nobody to the portal's page.
func TestGuideNamesPortalThatOthersReach(t *testing.T) {
	for portal, want := range map[string]bool{
		"https://qr.example.vn": true, "http://192.168.1.10:8080": true,
		"": false, "http://127.0.0.1:8080": false, "http://localhost:8080": false, "http://[::1]:8080": false, "http://0.0.0.0:8080": false, "http://:8080": false, "%": false,
	} {
		if got := print.Reachable(portal); got != want {
			t.Errorf("Reachable(%q) = %v, want %v", portal, got, want)
		}
	}
}
