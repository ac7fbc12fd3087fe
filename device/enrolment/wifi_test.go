package enrolment_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/qrgate/qrgate/device/enrolment"
)

func TestParseWiFi(t *testing.T) {
	for text, want := range map[string]enrolment.WiFi{
		"WIFI:T:WPA;S:Chợ Đông Ba;P:mua xuan;;":                {SSID: "Chợ Đông Ba", Password: "mua xuan"},
		"WIFI:S:Cho;T:WPA;P:12345678;H:true;;":                 {SSID: "Cho", Password: "12345678", Hidden: true},
		"WIFI:S:Cho;;":                                         {SSID: "Cho"},
		"WIFI:T:SAE;R:1;S:Cho;P:12345678;K:MDkwEwYH+KoZ/A==;;": {SSID: "Cho", Password: "12345678"},
		"WIFI:T:nopass;S:Cho;H:false;":                         {SSID: "Cho"},
		`WIFI:T:SAE;S:\"a\;b\\c\:d\,e\";P:\;\;\;\;\;\;\;\;;;`:  {SSID: `"a;b\c:d,e"`, Password: ";;;;;;;;"},
	} {
		if got, err := enrolment.ParseWiFi(text); err != nil || got != want {
			t.Errorf("ParseWiFi(%q) = %#v %q, %v", text, got, got.Password, err)
		}
	}
	for _, text := range []string{
		"", "WIFI:", "wifi:S:Cho;;", "WIFI:;;", "WIFI:S:Cho", "WIFI:S:Cho;P:12345678;;", "WIFI:T:WPA;S:Cho;;", "WIFI:T:WPA;S:Cho;P:short;;", "WIFI:T:WEP;S:Cho;P:12345678;;",
		"WIFI:S:Cho;S:Ba;;", "WIFI:S:Cho;X:1;;", "WIFI:S:Cho;H:maybe;;", `WIFI:S:Cho\`, `WIFI:S:C\ho;;`, "WIFI:S:a:b;;", "WIFI:S:-rf;;", "WIFI:T:WPA;S:Cho;P:--ask --x;;",
		"WIFI:S:" + strings.Repeat("x", 33) + ";;", "WIFI:S:a\x00b;;", "WIFI:S:a\nb;;", "WIFI:S:\xff;;", "WIFI:T:WPA2-EAP;S:Cho;E:TLS;;", "WIFI:S:Cho;;x", "WIFI:S:" + strings.Repeat("x", 600),
	} {
		got, err := enrolment.ParseWiFi(text)
		if !errors.Is(err, enrolment.ErrWiFi) || got != (enrolment.WiFi{}) {
			t.Errorf("ParseWiFi(%q) = %#v, %v", text, got, err)
		} else if strings.Contains(err.Error(), "12345678") {
			t.Errorf("%v quotes the password", err)
		}
	}
}

func TestPasswordIsNeverPrinted(t *testing.T) {
	w := enrolment.WiFi{SSID: "Cho", Password: "mua xuan"}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(format, w); strings.Contains(got, "xuan") {
			t.Errorf("Sprintf(%q) = %s", format, got)
		}
	}
	if err := w.Join(t.Context(), []string{"false", "{password}"}); err == nil || strings.Contains(err.Error(), "xuan") {
		t.Errorf("Join = %v", err)
	}
}

func TestJoin(t *testing.T) {
	at := filepath.Join(t.TempDir(), "args")
	command := []string{"sh", "-c", `printf '%s|' "$@" > "` + at + `"`, "sh", "{ssid}", "password", "{password}", "hidden", "{hidden}"}
	for _, tt := range []struct {
		w    enrolment.WiFi
		want string
	}{
		{enrolment.WiFi{SSID: "Chợ $(id) {password}", Password: "mua xuan", Hidden: true}, "Chợ $(id) {password}|password|mua xuan|hidden|yes|"},
		{enrolment.WiFi{SSID: "Cho"}, "Cho|hidden|no|"},
	} {
		if err := tt.w.Join(t.Context(), command); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(at); err != nil || string(got) != tt.want {
			t.Errorf("the program was given %q, %v, want %q", got, err, tt.want)
		}
	}
	if err := (enrolment.WiFi{SSID: "Cho"}).Join(t.Context(), nil); err == nil {
		t.Error("joined without a program")
	}
}

func FuzzParseWiFi(f *testing.F) {
	f.Add("WIFI:T:WPA;S:Cho;P:12345678;H:true;;")
	f.Add(`WIFI:S:a\;b;T:nopass;`)
	f.Fuzz(func(t *testing.T, text string) {
		w, err := enrolment.ParseWiFi(text)
		if err != nil {
			return
		}
		kind := "WPA"
		if w.Password == "" {
			kind = "nopass"
		}
		escape := strings.NewReplacer(`\`, `\\`, `;`, `\;`, `,`, `\,`, `:`, `\:`, `"`, `\"`)
		again, err := enrolment.ParseWiFi(fmt.Sprintf("WIFI:T:%s;S:%s;P:%s;H:%t;;", kind, escape.Replace(w.SSID), escape.Replace(w.Password), w.Hidden))
		if err != nil || again != w {
			t.Errorf("%q written again is %#v, %v", text, again, err)
		}
	})
}
