package print_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/qrgate/qrgate/server/print"
)

func TestBook(t *testing.T) {
	one, sticker := sheet(print.PosterA4), sheet(print.Sticker)
	var book, again bytes.Buffer
	for _, b := range []*bytes.Buffer{&book, &again} {
		if err := print.Book(b, "Hai tấm", []print.Sheet{one, sticker}); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(book.Bytes(), again.Bytes()) {
		t.Error("the same sheets are another file")
	}
	for what, n := range map[string]int{"/Type /Page\n": 2, "/MediaBox [0 0 283.46 283.46]": 1} {
		if got := bytes.Count(book.Bytes(), []byte(what)); got != n {
			t.Errorf("book has %s %d times, want %d", what, got, n)
		}
	}
	if err := print.Book(&book, "", nil); err == nil {
		t.Error("a book without pages is a book")
	}
	one.URL = "nothing"
	if err := print.Book(&book, "", []print.Sheet{sticker, one}); err == nil {
		t.Error("a sheet without URL is printed")
	}
}

func BenchmarkBook(b *testing.B) {
	for _, n := range []int{1, 50, 200} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			sheets := make([]print.Sheet, n)
			for i := range sheets {
				sheets[i] = sheet(print.PosterA4)
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := print.Book(new(bytes.Buffer), "", sheets); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
