package e2e_test

import (
	"bytes"
	"fmt"
	"html"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/qrgate/qrgate/sync/e2e/stage"
)

var deskCode = regexp.MustCompile(`<code>(QGS1[^<]*)</code>`)

// A scanner at a clerk's desk reads the code on the clerk's page and then papers, which
// fill in the form of that clerk; it comes back after the server was started again with
// a new code; and nothing of a paper is on either disk or in what the programs say.
func TestScannerAtADeskFillsInTheForm(t *testing.T) {
	t.Parallel()
	programs, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	log, said := new(log), new(log)
	s, err := stage.New(t.Context(), t.TempDir(), programs, stage.Options{Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil && !t.Failed() {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the desk said:\n%s\nthe programs said at last:\n%s", said.tail(40), log.tail(40))
		}
	})
	p := &play{T: t, ctx: t.Context(), stage: s, servers: 1}
	p.startServers()
	clerk := newClerk(t, s)
	scanner, err := s.StartScanner(filepath.Join(s.Dir, "scanner"))
	if err != nil {
		t.Fatal(err)
	}
	desk, err := s.StartDesk(fmt.Sprintf("[[serial]]\ndevice = %q\n", scanner.Path), said)
	if err != nil {
		t.Fatal(err)
	}
	scan := func(text string) {
		if _, err := io.WriteString(scanner, text+"\n"); err != nil {
			t.Fatal(err)
		}
	}
	says := func(times int, words string) {
		t.Helper()
		p.until("the desk says "+words, func() bool { return strings.Count(said.tail(1000), words) == times })
	}
	says(1, "Xin quét mã trên màn hình")
	page := clerk.post("/the/may-quet", nil)
	scan(html.UnescapeString(deskCode.FindStringSubmatch(page)[1]))
	says(1, "Đã nối với trang")
	if page := clerk.get("/the/may-quet"); !strings.Contains(page, "Máy quét đã nối") {
		t.Errorf("the page does not say that the scanner is joined:\n%.3000s", page)
	}
	const name, number = "Nguyễn Thị Cẩn Mật", "046190001234"
	paper := number + "||" + name + "|02031990|Nữ|Tổ 3, Thủy Xuân, Thành phố Huế, Thừa Thiên Huế|10052021"
	scan(paper)
	says(1, "Đã gửi một mã")
	page = clerk.post("/the/may-quet/lay", nil)
	for _, want := range []string{name, number, "1990", "Tổ 3", "Xin xem lại từng ô"} {
		if !strings.Contains(page, want) {
			t.Errorf("the form lacks %q:\n%.4000s", want, page)
		}
	}
	clerk.post("/the/may-quet/dung", nil)
	scan("another paper")
	says(1, "Trang đã ngắt máy quét")
	page = clerk.post("/the/may-quet", nil)
	scan(html.UnescapeString(deskCode.FindStringSubmatch(page)[1]))
	says(2, "Đã nối với trang")
	clerk.post("/the/may-quet/lay", url.Values{}) // of what was scanned after the end there is nothing
	if err := desk.Stop(); err != nil {
		t.Errorf("the desk ends with %v", err)
	}
	p.until("the page says that the desk has gone", func() bool { return strings.Contains(clerk.get("/the/may-quet"), "Mất liên lạc") })

	for _, spoken := range []string{log.tail(10_000), said.tail(10_000)} {
		if strings.Contains(spoken, name) || strings.Contains(spoken, number) {
			t.Error("the programs speak of somebody")
		}
	}
	err = filepath.WalkDir(s.Dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if bytes.Contains(b, []byte(name)) || bytes.Contains(b, []byte(number)) {
			t.Errorf("%s holds what was read", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
