package pass_test

import (
	"bytes"
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/qrgate/qrgate/sync/pass"
	"golang.org/x/text/unicode/norm"
)

var base32NoPad = base32.StdEncoding.WithPadding(base32.NoPadding)

// Invented people.
const (
	cccd     = "046190001234|191234567|Nguyễn Thị Hoa Mai|02031990|Nữ|Tổ 3, Thủy Xuân, Thành phố Huế, Thừa Thiên Huế|10052021"
	bhyt     = "TE1462012345678|4e677579e1bb856e2056c4836e2041|01/02/2019|1|4875e1babf|46 - 001|01/07/2021|30/06/2022|15/06/2021|04612345678901|-|4|01/07/2026|0123456789abcdef-1234|$"
	national = "******001234|NGUYEN THI HOA MAI|1990-**-**|0|QID0123456789|x"
)

// The subject types of the package print nothing; this one does.
type subject pass.Subject

func TestForeignCodes(t *testing.T) {
	mai := subject{Number: "046190001234", Name: "Nguyễn Thị Hoa Mai", Born: 1990, Address: "Tổ 3, Thủy Xuân, Thành phố Huế, Thừa Thiên Huế"}
	van := subject{Number: "2012345678", Name: "Nguyễn Văn A", Born: 2019, Address: "Huế"}
	tests := []struct {
		name string
		text string
		kind pass.Kind
		want subject
		err  error
	}{
		{"cccd", cccd, pass.CCCD, mai, nil},
		{"cccd of 2024 with parents", cccd + "|||Father|Mother", pass.CCCD, mai, nil},
		{"cccd with slashes", strings.NewReplacer("02031990", "02/03/1990", "10052021", "10/05/2021").Replace(cccd), pass.CCCD, mai, nil},
		{"cccd without old number", strings.Replace(cccd, "191234567", "", 1), pass.CCCD, mai, nil},
		{"cccd with year only", strings.Replace(cccd, "02031990", "1990", 1), pass.CCCD, mai, nil},
		{"cccd with unknown day", strings.Replace(cccd, "02031990", "00001990", 1), pass.CCCD, mai, nil},
		{"cccd decomposed", norm.NFD.String(cccd), pass.CCCD, mai, nil},
		{"cccd with a short number", cccd[1:], pass.CCCD, subject{}, pass.ErrMalformed},
		{"cccd without name", strings.Replace(cccd, "Nguyễn Thị Hoa Mai", "", 1), pass.CCCD, subject{}, pass.ErrMalformed},
		{"cccd with a letter in the birth", strings.Replace(cccd, "02031990", "0203l990", 1), pass.CCCD, subject{}, pass.ErrMalformed},
		{"cccd born in 0199", strings.Replace(cccd, "02031990", "02030199", 1), pass.CCCD, subject{}, pass.ErrMalformed},
		{"cccd with an endless name", strings.Replace(cccd, "Mai", strings.Repeat("Mai ", 200), 1), pass.CCCD, subject{}, pass.ErrMalformed},
		{"cccd cut off", cccd[:strings.LastIndexByte(cccd, '|')], pass.Unknown, subject{}, pass.ErrUnknown},
		{"bhyt", bhyt, pass.BHYT, van, nil},
		{"bhyt with ten digits", bhyt[5:], pass.BHYT, van, nil},
		{"bhyt with year only", strings.Replace(bhyt, "01/02/2019", "2019", 1), pass.BHYT, van, nil},
		{"bhyt in capital hex", strings.Replace(bhyt, "4875e1babf", "4875E1BABF", 1), pass.BHYT, van, nil},
		{"bhyt with odd hex", strings.Replace(bhyt, "4875e1babf", "4875e1bab", 1), pass.BHYT, subject{}, pass.ErrMalformed},
		{"bhyt with hex of no UTF-8", strings.Replace(bhyt, "4875e1babf", "4875e1ba", 1), pass.BHYT, subject{}, pass.ErrMalformed},
		{"bhyt with a hidden line end", strings.Replace(bhyt, "4875e1babf", "48750a", 1), pass.BHYT, subject{}, pass.ErrMalformed},
		{"bhyt without name", strings.Replace(bhyt, "4e677579e1bb856e2056c4836e2041", "", 1), pass.BHYT, subject{}, pass.ErrMalformed},
		{"bhyt with a short number", bhyt[1:], pass.BHYT, subject{}, pass.ErrMalformed},
		{"bhyt without end", strings.TrimSuffix(bhyt, "$"), pass.Unknown, subject{}, pass.ErrUnknown},
		{"national", national, pass.National, subject{Number: "QID0123456789", Name: "NGUYEN THI HOA MAI", Born: 1990}, nil},
		{"national unmasked, with bars in EXT", "046190001234|A|1990-03-02|1|Q|1|2|3", pass.National, subject{Number: "Q", Name: "A", Born: 1990}, nil},
		{"national without QID", strings.Replace(national, "QID0123456789", "", 1), pass.National, subject{}, pass.ErrMalformed},
		{"national of kind 2", strings.Replace(national, "|0|", "|2|", 1), pass.National, subject{}, pass.ErrMalformed},
		{"certificate", "HC1:6BFOXN*TS0BI$ZD", pass.HC1, subject{}, nil},
		{"smart health card", "shc:/5676290952", pass.SHC, subject{}, nil},
		{"wifi", "WIFI:S:QRGate;T:WPA;P:x;;", pass.WiFi, subject{}, nil},
		{"poster", "https://qr.example.vn/p/AAAAACB2-1", pass.Poster, subject{}, nil},
		{"poster in capitals", "HTTPS://QR.EXAMPLE.VN/P/AAAAACB2-1", pass.Poster, subject{}, nil},
		{"another page", "https://qr.example.vn/price", pass.Unknown, subject{}, pass.ErrUnknown},
		{"a page without host", "https:///p/x", pass.Unknown, subject{}, pass.ErrUnknown},
		{"another scheme", "javascript://host/p/%0aalert(1)", pass.Unknown, subject{}, pass.ErrUnknown},
		{"command", "QGC1ABC", pass.Command, subject{}, nil},
		{"enrolment", "QGE1ABC", pass.Enrolment, subject{}, nil},
		{"nothing", "", pass.Unknown, subject{}, pass.ErrUnknown},
		{"goods", "8934563138165", pass.Unknown, subject{}, pass.ErrUnknown},
		{"only bars", "||||||||", pass.Unknown, subject{}, pass.ErrUnknown},
		{"control character", strings.Replace(cccd, "Mai", "Mai\x1d", 1), pass.Unknown, subject{}, pass.ErrMalformed},
		{"scanner's suffix left on", cccd + "\r", pass.Unknown, subject{}, pass.ErrMalformed},
		{"Latin-1", "046190001234||Nguy\xean|02031990|N|Hu\xea|10052021", pass.Unknown, subject{}, pass.ErrMalformed},
		{"too long", strings.Repeat("A", pass.MaxText+1), pass.Unknown, subject{}, pass.ErrMalformed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := pass.Parse(tt.text)
			if !errors.Is(err, tt.err) {
				t.Fatalf("Parse(%q) error = %v, want %v", tt.text, err, tt.err)
			}
			if got.Kind != tt.kind {
				t.Errorf("Parse(%q) kind = %s, want %s", tt.text, got.Kind, tt.kind)
			}
			if diff := cmp.Diff(tt.want, subject(got.Subject)); diff != "" {
				t.Errorf("Parse(%q) subject differs (-want +got):\n%s", tt.text, diff)
			}
			if got.Card != (pass.OwnCard{}) || got.Signature != [64]byte{} {
				t.Errorf("Parse(%q) has a card or signature, want none", tt.text)
			}
		})
	}
}

func TestKindNames(t *testing.T) {
	numbers := map[uint8]string{
		0: "unknown", 1: "card", 2: "family", 3: "staff", 4: "event", 5: "maintenance", 6: "test",
		10: "cccd", 11: "bhyt", 12: "national", 13: "hc1", 14: "shc", 15: "poster", 16: "command",
		17: "enrolment", 18: "wifi", 19: "typed", 20: "phone", 21: "account",
	}
	for n := range uint8(255) {
		want, known := numbers[n]
		if !known {
			want = fmt.Sprintf("kind %d", n)
		}
		if got := pass.Kind(n).String(); got != want {
			t.Errorf("Kind(%d).String() = %q, want %q", n, got, want)
		}
		k, err := pass.ParseKind(want)
		if known && n != 0 && (err != nil || k != pass.Kind(n)) {
			t.Errorf("ParseKind(%q) = %d, %v, want %d", want, k, err, n)
		}
		if (!known || n == 0) && err == nil {
			t.Errorf("ParseKind(%q) = %d, want an error", want, k)
		}
	}
}

// Whatever a programmer does with a pass by accident, no person comes out.
func TestNothingPrintsAPerson(t *testing.T) {
	text := sign(t, pass.OwnCard{Kind: pass.Card, Key: 1, Number: 987654321, Last: 65535}, cardKey)
	for _, text := range []string{cccd, bhyt, national, text} {
		p, err := pass.Parse(text)
		if err != nil {
			t.Fatalf("Parse(%q) error = %v", text, err)
		}
		nested := struct {
			P pass.Pass
			S *pass.Subject
			C []pass.OwnCard
		}{p, &p.Subject, []pass.OwnCard{p.Card}}
		var out bytes.Buffer
		// A time may have any digits in it.
		timeless := &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}}
		for _, v := range []any{p, &p, p.Subject, &p.Subject, p.Card, nested, []any{p}, fmt.Errorf("x: %v", p)} {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
				fmt.Fprintf(&out, verb+"\n", v)
			}
			slog.New(slog.NewTextHandler(&out, timeless)).Info("m", "v", v)
			slog.New(slog.NewJSONHandler(&out, timeless)).Info("m", "v", v)
			j, err := json.Marshal(v)
			if err != nil {
				t.Fatalf("Marshal(%T) error = %v", v, err)
			}
			out.Write(j)
		}
		for _, secret := range []string{"Nguy", "NGUYEN", "1990", "2019", "Hu", "046190001234", "2012345678", "QID012", "987654321", hex.EncodeToString([]byte("Nguy"))} {
			if i := strings.Index(out.String(), secret); i >= 0 {
				t.Errorf("a %s printed %q: %q", p.Kind, secret, out.String()[max(0, i-80):i+20])
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	card, err := pass.Sign(pass.OwnCard{Kind: pass.Family, Key: 1, Number: 48211, Issue: 2, First: 2500, Last: 2900, People: 4}, cardKey)
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{card, strings.ToLower(card), card + "\n", cccd, bhyt, national, "HC1:6BF", "shc:/56", "WIFI:S:a;;", "https://h/p/AAAAACB2-1", "QGC1A", "QGE1A", "||||||", "|||||||||||||||$"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := pass.Parse(text)
		if err != nil {
			if !errors.Is(err, pass.ErrUnknown) && !errors.Is(err, pass.ErrMalformed) {
				t.Fatalf("Parse(%q) error = %v, want a known one", text, err)
			}
			if p != (pass.Pass{Kind: p.Kind}) {
				t.Fatalf("Parse(%q) failed and still returned content", text)
			}
			return
		}
		if p.Kind.Own() {
			upper := strings.ToUpper(text)
			raw, err := base32NoPad.DecodeString(upper[3:])
			if err != nil || "QG1"+base32NoPad.EncodeToString(raw) != upper || text != upper && text != strings.ToLower(text) {
				t.Fatalf("Parse(%q) accepted a text that is not the card's own", text)
			}
			if pass.Verify(p, keys, 2700) == nil && upper != card {
				t.Fatalf("Verify accepted %q, which nobody signed", text)
			}
		}
		s := p.Subject
		for _, field := range []string{s.Number, s.Name, s.Address, s.Phone} {
			if !utf8.ValidString(field) || len(field) > 512 || strings.ContainsAny(field, "\n\r\t\x00") {
				t.Fatalf("Parse(%q) field %q", text, field)
			}
		}
		if (p.Kind == pass.CCCD || p.Kind == pass.BHYT || p.Kind == pass.National) && (s.Number == "" || s.Born == 0) {
			t.Fatalf("Parse(%q) = %s without number or birth", text, p)
		}
	})
}
