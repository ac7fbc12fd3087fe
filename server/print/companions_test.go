package print_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/print"
)

func TestCompanionsAreTheSameFileWhateverThePlaceIsCalled(t *testing.T) {
	at := time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC)
	for name, place := range hostile {
		var a, b bytes.Buffer
		for _, out := range []*bytes.Buffer{&a, &b} {
			if err := print.Companions(out, place, at); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if !bytes.Equal(a.Bytes(), b.Bytes()) || !strings.HasPrefix(a.String(), "%PDF-") {
			t.Errorf("%s: two files of %d and %d bytes differ, or are no PDF", name, a.Len(), b.Len())
		}
	}
}
