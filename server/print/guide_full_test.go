//go:build full

package print_test

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/qrgate/qrgate/sync/guide"
	"github.com/qrgate/qrgate/sync/words"
)

var fontSize = regexp.MustCompile(`<fontspec [^>]*size="(\d+)"`)

// The printed guide names each pin that the program drives, each step and each trouble in
// the words that the kiosk says, in letters that can be read, and its codes answer.
func TestGuideIsReadBack(t *testing.T) {
	pdf := guideFile(t)
	if info := run(t, "poppler-utils", "pdfinfo", pdf); !strings.Contains(strings.ReplaceAll(info, " ", ""), "Pages:2\n") {
		t.Errorf("it has not two pages:\n%s", info)
	}
	text := strings.Join(strings.Fields(run(t, "poppler-utils", "pdftotext", "-layout", pdf, "-")), " ")
	for _, p := range guide.Pins() {
		if want := "chân " + strconv.Itoa(p.Header) + " · " + p.Line; !strings.Contains(text, want) {
			t.Errorf("it does not say %q", want)
		}
	}
	for s := guide.Language; s <= guide.Ready; s++ {
		key := s.Key()
		if s == guide.Direction {
			key += ".in"
		}
		if want := strconv.Itoa(int(s)) + ". " + guide.Text(words.Vietnamese, key); !strings.Contains(text, want) {
			t.Errorf("it does not say %q", want)
		}
	}
	for n := 1; n <= guide.Troubles; n++ {
		if want := "Đỏ " + strconv.Itoa(n) + ":"; !strings.Contains(text, want) {
			t.Errorf("it does not say %q", want)
		}
	}
	for _, want := range append(guide.Wired(), "+12 V NGUỒN ĐÈN", "+12 V NGUỒN KHÓA", "Người quản lý:", "Kỹ thuật:", "15 phút", "QRGATE-SYS",
		"M1 thiếu", "M2 trang", "M3 trang", "M4 thiếu", "M5 chưa") {
		if !strings.Contains(text, want) {
			t.Errorf("it does not say %q", want)
		}
	}
	// What does not fit is cut with this; elsewhere it is in a file's name and where one writes.
	if strings.Contains(strings.NewReplacer("qrgate-screen-….img", "", "qrgate-lamps-….img", "", "…………………………………………", "").Replace(text), "…") {
		t.Errorf("something is cut off:\n%s", text)
	}
	// Poppler prints pixels of 1/108 inch and cuts them off: 8.5 pt are 12.
	for _, m := range fontSize.FindAllStringSubmatch(run(t, "poppler-utils", "pdftohtml", "-xml", "-i", "-stdout", pdf), -1) {
		if size, err := strconv.Atoi(m[1]); err != nil || size < 12 {
			t.Errorf("letters of %s/108 inch, want 12 at least", m[1])
		}
	}
	base := strings.TrimSuffix(pdf, ".pdf")
	run(t, "poppler-utils", "pdftoppm", "-r", "200", "-gray", "-png", "-singlefile", "-f", "2", pdf, base)
	picture := loadGray(t, base+".png")
	// The line of the foot is at 279.7 mm, and what stands above it ends before.
	at := func(mm float64) int { return int(mm / 25.4 * 200) }
	for y := at(276.5); y < at(279.5); y++ {
		if picture.GrayAt(at(100), y).Y < 250 {
			t.Fatalf("the second page reaches its foot, at %d of %d", y, picture.Bounds().Dy())
		}
	}
	got := zbar(t, picture)
	slices.Sort(got)
	want := []string{string(guide.Next), string(guide.No), string(guide.Yes)}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("codes on the second page: %q, want %q", got, want)
	}
}
