package print_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/print"
)

func letters() print.Letters {
	return print.Letters{
		Office: "Trung tâm Kiểm soát bệnh tật thành phố Huế", Return: "CDC Huế, 10-12 Nguyễn Văn Cừ, Huế", HelpLine: "19001075",
		Title: "Thư", Written: printed,
	}
}

func letter(n int) *print.Letter {
	return &print.Letter{
		Name: names[n%len(names)], Address: []string{"12/3 kiệt 45 Nguyễn Trãi, tổ 7", "Phường Phú Xuân", "Thành phố Huế"}, Code: "K7QM-2FXA",
		Place: "Chợ Đông Ba", Day: time.Date(2026, 11, 20, 0, 0, 0, 0, printed.Location()), Test: n%2 == 1, Child: n%3 == 2,
	}
}

func lettersOf(n int) iter.Seq2[*print.Letter, error] {
	return func(yield func(*print.Letter, error) bool) {
		for i := range n {
			if !yield(letter(i), nil) {
				return
			}
		}
	}
}

func TestLettersAreAPageEach(t *testing.T) {
	for _, n := range []int{1, 12, 300} {
		var out, again bytes.Buffer
		for _, w := range []io.Writer{&out, &again} {
			if err := print.Notices(w, letters(), lettersOf(n)); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(out.Bytes(), again.Bytes()) {
			t.Errorf("%d letters are another file each time", n)
		}
		if got := bytes.Count(out.Bytes(), []byte("/MediaBox[0 0 595.276 841.890]")); got != n {
			t.Errorf("%d letters have %d pages of A4", n, got)
		}
	}
}

func TestLettersThatCannotBePrinted(t *testing.T) {
	if err := print.Notices(io.Discard, letters(), lettersOf(0)); err == nil {
		t.Error("no letters are a file")
	}
	gone := errors.New("gone")
	err := print.Notices(io.Discard, letters(), func(yield func(*print.Letter, error) bool) {
		if yield(letter(0), nil) {
			yield(nil, gone)
		}
	})
	if !errors.Is(err, gone) {
		t.Errorf("Notices = %v, want %v", err, gone)
	}
	if err := print.Notices(full{}, letters(), lettersOf(1)); err == nil {
		t.Error("a full disk is no error")
	}
}

// Whatever a name or an address holds, the page is made.
func FuzzLetter(f *testing.F) {
	f.Add("Nguyễn Văn An", "12 Lê Lợi\nHuế", "Chợ Đông Ba", "19001075")
	f.Add(strings.Repeat("Ế", 3000), strings.Repeat("\n", 50), "\x00\xff", "=1+1")
	f.Fuzz(func(t *testing.T, name, address, place, line string) {
		k, l := letters(), letter(1)
		k.HelpLine, l.Name, l.Address, l.Place = line, name, strings.Split(address, "\n"), place
		var out bytes.Buffer
		if err := print.Notices(&out, k, func(yield func(*print.Letter, error) bool) { yield(l, nil) }); err != nil {
			t.Errorf("Notices(%q, %q) = %v", name, place, err)
		}
	})
}

func BenchmarkLetters(b *testing.B) {
	for _, n := range []int{1, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := print.Notices(io.Discard, letters(), lettersOf(n)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
