//go:build full

package print_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/print"
)

var wordBox = regexp.MustCompile(`<word xMin="([\d.]+)" yMin="[\d.]+" xMax="([\d.]+)" yMax="[\d.]+">([^<]*)</word>`)

// In the band of a command card nothing stands upon anything else: its title is longer
// than that of people's cards.
func TestTitleOfACommandCardIsRead(t *testing.T) {
	card := print.Card{Text: "QGC1" + string(bytes.Repeat([]byte("7"), 100)), Name: "Cài đặt lại", Kind: print.Text{VI: "k12-congchinh-a8fk2q", EN: "Set up again"}, Until: time.Date(2026, 12, 26, 0, 0, 0, 0, time.UTC)}
	for layout, words := range map[print.Layout][]string{print.CardSingle: {"LỆNH", "COMMAND", card.Kind.VI}, print.CardLarge: {"LỆNH", card.Kind.VI}} {
		var b bytes.Buffer
		err := print.Cards(&b, print.Deck{Layout: layout, Title: "thẻ lệnh", Command: true}, func(yield func(*print.Card, error) bool) { yield(&card, nil) })
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "card.pdf")
		if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		boxes := wordBox.FindAllStringSubmatch(run(t, "poppler-utils", "pdftotext", "-bbox", "-l", "1", path, "-"), -1)
		end := 0.0
		for _, w := range words {
			found := false
			for _, box := range boxes {
				if box[3] != w {
					continue
				}
				from, err1 := strconv.ParseFloat(box[1], 64)
				to, err2 := strconv.ParseFloat(box[2], 64)
				if err1 != nil || err2 != nil || from < end {
					t.Errorf("%s: %q begins at %v pt, before %v where the word before it ends", layout, w, from, end)
				}
				found, end = true, to
			}
			if !found {
				t.Errorf("%s: %q is not read", layout, w)
			}
		}
	}
}
