package pairing_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/sync/pairing"
	"github.com/qrgate/qrgate/sync/wire"
)

func everyLine(pairing.Line) bool { return true }

// sealDesk seals a scan as a desk does that has read code c.
func sealDesk(t testing.TB, h *host, c pairing.Code, s pairing.DeskScan) []byte {
	t.Helper()
	server, err := c.Hello(h.hello())
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := server.DeskSealer(now)
	if err != nil {
		t.Fatal(err)
	}
	b, err := c.SealDesk(sealer, now, s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestDeskScan(t *testing.T) {
	h := newHost(t)
	c := h.code()
	if got, err := pairing.ParseDesk(c.Desk()); err != nil || got != c {
		t.Fatalf("ParseDesk(%q) = %v, %v", c.Desk(), got, err)
	}
	for _, text := range []string{c.String(), c.Desk() + "\n", strings.ToLower(c.Desk()), "QGS1", ""} {
		if _, err := pairing.ParseDesk(text); !errors.Is(err, pairing.ErrCode) {
			t.Errorf("ParseDesk(%q) error = %v, want %v", text, err, pairing.ErrCode)
		}
	}
	if _, err := pairing.Parse(c.Desk()); !errors.Is(err, pairing.ErrCode) {
		t.Errorf("Parse of a desk's code error = %v: a kiosk would enrol by it", err)
	}
	s := pairing.DeskScan{Desk: [16]byte{9}, No: 4, Text: "046190001234||Nguyễn Thị Hoa Mai|02031990|Nữ|Huế|10052021"}
	data := sealDesk(t, h, c, s)
	if strings.Contains(string(data), "Hoa Mai") {
		t.Error("the text is not sealed")
	}
	got, line, err := pairing.OpenDesk(data, h.opener, everyLine)
	if err != nil {
		t.Fatal(err)
	}
	s.V, s.Token = wire.Version, c.Token
	if diff := cmp.Diff(s, *got); diff != "" || line != c.Line() {
		t.Errorf("OpenDesk (-want +got):\n%s", diff)
	}
	if printed := fmt.Sprintf("%v %+v %#v %s", s, s, s, s); strings.Contains(printed, "Hoa") {
		t.Errorf("a scan prints itself: %s", printed)
	}
	if _, _, err := pairing.OpenDesk(data, h.opener, func(pairing.Line) bool { return false }); !errors.Is(err, pairing.ErrCode) {
		t.Errorf("OpenDesk over no line: error = %v, want %v", err, pairing.ErrCode)
	}
	for i := range data {
		bent := append([]byte(nil), data...)
		bent[i] ^= 1
		if got, _, err := pairing.OpenDesk(bent, h.opener, everyLine); err == nil && got.Token == c.Token && got.Text == s.Text && got.No == s.No {
			continue // a bit that nothing is said by
		} else if err == nil {
			t.Errorf("byte %d changed: opened as %v", i, got)
		}
	}
}

func FuzzOpenDesk(f *testing.F) {
	h := newHost(f)
	f.Add(sealDesk(f, h, h.code(), pairing.DeskScan{No: 1, Text: "x"}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, _, err := pairing.OpenDesk(b, h.opener, everyLine); (err == nil) != (s != nil) {
			t.Errorf("OpenDesk = %v, %v", s, err)
		}
	})
}
