package print_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"flag"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/print"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/pass"
)

var keep = flag.String("keep", "", "directory to leave sheets of cards in, to be looked at")

var cardKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))

// names are what cards must have room for.
var names = []string{
	"Nguyễn Văn An", "Công Tằng Tôn Nữ Thị Hoàng Yến Phương", "N. V. A.", "", "Lê Ê", "Trần Thị Ánh Nguyệt", "Hồ Đắc Ửng", "Phạm Quỳnh",
	strings.Repeat("Nguyễn ", 17), "名前 Test",
}

func card(n uint32) *print.Card {
	first := pass.DayOf(printed)
	text, err := pass.Sign(pass.OwnCard{Kind: pass.Card, Key: 1, Number: n, Issue: 1, First: first, Last: first + 730}, cardKey)
	if err != nil {
		panic(err)
	}
	return &print.Card{
		Text: text, Code: pass.TypedCode(n), Name: names[int(n)%len(names)], Number: fmt.Sprint(n), Until: (first + 730).Time(),
		Kind: print.Text{VI: "Thẻ cá nhân", EN: "Personal card"},
	}
}

var printed = time.Date(2026, 11, 26, 9, 0, 0, 0, qrgate.Zone)

func deck(l print.Layout) print.Deck {
	return print.Deck{Layout: l, Title: "Thẻ", Printed: printed, HelpLine: "19001075", Controller: "Sở Y tế thành phố Huế", RetentionDays: 21}
}

func cardsFrom(first, n int) iter.Seq2[*print.Card, error] {
	return func(yield func(*print.Card, error) bool) {
		for i := range n {
			if !yield(card(uint32(first+i)), nil) {
				return
			}
		}
	}
}

func TestCardsAreAsManyPagesAsTheyNeed(t *testing.T) {
	for _, tt := range []struct {
		layout print.Layout
		cards  int
		pages  int
	}{{print.CardDuplex, 10, 2}, {print.CardDuplex, 11, 4}, {print.CardFold, 11, 3}, {print.CardLarge, 5, 4}, {print.CardSingle, 2, 4}} {
		var b bytes.Buffer
		if err := print.Cards(&b, deck(tt.layout), cardsFrom(1, tt.cards)); err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("/Count %d/", tt.pages); !bytes.Contains(b.Bytes(), []byte(want)) {
			t.Errorf("%d cards as %s: no %s", tt.cards, tt.layout, want)
		}
		if *keep != "" {
			if err := os.WriteFile(filepath.Join(*keep, string(tt.layout)+".pdf"), b.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		var again bytes.Buffer
		if err := print.Cards(&again, deck(tt.layout), cardsFrom(1, tt.cards)); err != nil || !bytes.Equal(b.Bytes(), again.Bytes()) {
			t.Errorf("the same cards are another file: %v", err)
		}
	}
}

func TestCardsThatCannotBePrinted(t *testing.T) {
	broken := errors.New("broken")
	for name, cards := range map[string]iter.Seq2[*print.Card, error]{
		"none":     cardsFrom(1, 0),
		"too long": func(yield func(*print.Card, error) bool) { yield(&print.Card{Text: strings.Repeat("A", 1000)}, nil) },
		"no text":  func(yield func(*print.Card, error) bool) { yield(&print.Card{}, nil) },
		"an error": func(yield func(*print.Card, error) bool) { yield(nil, broken) },
	} {
		if err := print.Cards(io.Discard, deck(print.CardDuplex), cards); err == nil {
			t.Errorf("%s: no error", name)
		} else if name == "an error" && !errors.Is(err, broken) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := print.Cards(io.Discard, deck("x"), cardsFrom(1, 1)); err == nil {
		t.Error("no layout: no error")
	}
	if err := print.Cards(full{}, deck(print.CardDuplex), cardsFrom(1, 500)); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("a full disk: %v", err)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

// BenchmarkCards prints ten thousand cards, and says how much memory was in use at
// most while it did.
func BenchmarkCards(b *testing.B) {
	for range b.N {
		var most uint64
		n := 0
		cards := func(yield func(*print.Card, error) bool) {
			for c, err := range cardsFrom(1, 10_000) {
				if n++; n%500 == 0 {
					var m runtime.MemStats
					runtime.ReadMemStats(&m)
					most = max(most, m.HeapInuse)
				}
				if !yield(c, err) {
					return
				}
			}
		}
		var size counter
		if err := print.Cards(&size, deck(print.CardDuplex), cards); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(most)/1e6, "MB-heap")
		b.ReportMetric(float64(size)/1e6, "MB-file")
	}
}

type counter int

func (c *counter) Write(p []byte) (int, error) { *c += counter(len(p)); return len(p), nil }
