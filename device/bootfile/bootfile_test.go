package bootfile_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/qrgate/qrgate/device/bootfile"
	"github.com/qrgate/qrgate/device/dist"
	"github.com/qrgate/qrgate/device/enrolment"
	"github.com/qrgate/qrgate/sync/pairing"
	"github.com/qrgate/qrgate/sync/words"
)

var compare = cmp.Options{cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}), cmp.AllowUnexported(url.Userinfo{})}

var code = pairing.Code{Address: "https://qr.example.vn", Token: [16]byte{1}}.String()

var whole = strings.Join([]string{
	"# qrgate", "language = vi", "", " Address=192.168.1.20/24", "gateway = 192.168.1.1", "dns = 192.168.1.1, 8.8.8.8",
	`wifi-name = "Chợ Đông Ba"`, "wifi_password = mua=xuan #2027", "WIFI_HIDDEN = yes", "proxy = http://u:p@10.0.0.1:3128",
	"apn = v-internet", "apn_user = a", "apn_password = b", "sim_pin = 1234", "wired = lamps, relay", "exit = yes", "code = " + strings.ToLower(code[:20]) + " " + code[20:],
}, "\n")

func TestAllOfIt(t *testing.T) {
	want := bootfile.File{
		Language: words.Vietnamese, WiFi: enrolment.WiFi{SSID: "Chợ Đông Ba", Password: "mua=xuan #2027", Hidden: true},
		Address: netip.MustParsePrefix("192.168.1.20/24"), Gateway: netip.MustParseAddr("192.168.1.1"),
		DNS:    []netip.Addr{netip.MustParseAddr("192.168.1.1"), netip.MustParseAddr("8.8.8.8")},
		Proxy:  &url.URL{Scheme: "http", Host: "10.0.0.1:3128", User: url.UserPassword("u", "p")},
		Mobile: bootfile.Mobile{APN: "v-internet", User: "a", Password: "b", PIN: "1234"}, Wired: []string{"lamps", "relay"}, Exit: true, Code: code,
	}
	wide := []byte{0xff, 0xfe}
	for _, u := range utf16.Encode([]rune(whole)) {
		wide = append(wide, byte(u), byte(u>>8))
	}
	// As Notepad, Notepad++ and others save it.
	for name, text := range map[string][]byte{
		"linux": []byte(whole), "windows": []byte(strings.ReplaceAll(whole, "\n", "\r\n")), "mac": []byte(strings.ReplaceAll(whole, "\n", "\r")),
		"bom": []byte("\xef\xbb\xbf" + strings.ReplaceAll(whole, "\n", "\r\n")), "utf-16": wide,
	} {
		got, faults := bootfile.Parse(text)
		if len(faults) > 0 {
			t.Errorf("%s: faults %v", name, faults)
		}
		if diff := cmp.Diff(want, got, compare); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	var commands []string
	for _, c := range want.Connections() {
		commands = append(commands, strings.Join(c.Args, " "))
	}
	if diff := cmp.Diff([]string{
		"connection add con-name qrgate-cable ifname * connection.autoconnect yes connection.autoconnect-priority 50 type ethernet ipv4.method manual ipv4.addresses 192.168.1.20/24 ipv4.gateway 192.168.1.1 ipv4.dns 192.168.1.1,8.8.8.8",
		"connection add con-name qrgate-mobile ifname * connection.autoconnect yes connection.autoconnect-priority 50 type gsm apn v-internet gsm.username a gsm.password b gsm.pin 1234",
	}, commands); diff != "" {
		t.Error(diff)
	}
}

func TestEachMistakeIsNamed(t *testing.T) {
	for _, tt := range []struct{ line, says string }{
		{"address 192.168.1.20", "="},
		{"adress = 192.168.1.20/24", `"adress"`},
		{"address = 192.168.1.20", "/24"},
		{"address = 300.1.1.1/24", "/24"},
		{"gateway = router", "192.168.1.1"},
		{"gateway = 192.168.1.1", "address"},
		{"address = 192.168.1.20/24\ngateway = 192.168.2.1", "cùng mạng"},
		{"address = 192.168.1.1/24\ngateway = 192.168.1.1", "chính máy này"},
		{"dns = a, b", "8.8.8.8"},
		{"language = fr", "vi"},
		{"language = vi\nlanguage = en", "dòng 1"},
		{"wifi_password = 12345678", "wifi_name"},
		{"wifi_name = x\nwifi_password = 1234567", "8"},
		{"wifi_hidden = perhaps", "yes"},
		{"proxy = 10.0.0.1:3128", "http://"},
		{"proxy = http://10.0.0.1", "3128"},
		{"apn = a b", "v-internet"},
		{"sim_pin = 12", "4"},
		{"wired = lamps, horn", "buzzer"},
		{"exit = perhaps", "yes"},
		{"code = QGE1ABC", "QGE1"},
	} {
		_, faults := bootfile.Parse([]byte(tt.line))
		n := 1 + strings.Count(tt.line, "\n")
		if len(faults) != 1 || faults[0].Line != n || !strings.Contains(faults[0].VI, tt.says) || !strings.HasPrefix(faults[0].VI, fmt.Sprintf("qrgate.txt, dòng %d: ", n)) || !strings.HasPrefix(faults[0].EN, fmt.Sprintf("qrgate.txt, line %d: ", n)) {
			t.Errorf("Parse(%q) has faults %v, want one of line %d that says %q", tt.line, faults, n, tt.says)
		}
	}
	for _, secret := range []string{"wifi_name = x\nwifi_password = geheim", "sim_pin = geheim"} {
		if _, faults := bootfile.Parse([]byte(secret)); len(faults) != 1 || strings.Contains(faults[0].String(), "geheim") {
			t.Errorf("faults of a secret: %v", faults)
		}
	}
	f, faults := bootfile.Parse([]byte("nothing = 1\nlanguage = en"))
	if len(faults) != 1 || f.Language != words.English {
		t.Errorf("beside a mistake the other lines do not count: %+v, %v", f, faults)
	}
}

func TestAFileThatIsNotThereSaysNothing(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{"", filepath.Join(dir, "qrgate.txt")} {
		if f, faults := bootfile.Read(path); len(faults) > 0 || !cmp.Equal(f, bootfile.File{}, compare) {
			t.Errorf("Read(%q) = %+v, %v", path, f, faults)
		}
	}
	if _, faults := bootfile.Read(dir); len(faults) != 1 {
		t.Errorf("Read of a folder has faults %v", faults)
	}
	large := filepath.Join(dir, "large")
	if err := os.WriteFile(large, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, faults := bootfile.Read(large); len(faults) != 1 {
		t.Errorf("Read of a large file has faults %v", faults)
	}
}

// The sample on the boot partition says nothing as it is, and every line of it can be used.
func TestTheSample(t *testing.T) {
	sample := dist.BootFile()
	if f, faults := bootfile.Parse(sample); len(faults) > 0 || !cmp.Equal(f, bootfile.File{}, compare) {
		t.Errorf("the sample says %+v, %v", f, faults)
	}
	used := regexp.MustCompile(`(?m)^#([a-z_]+ =)`).ReplaceAllString(string(sample), "$1")
	used = strings.Replace(used, "code = QGE1", "code = "+code, 1)
	f, faults := bootfile.Parse([]byte(used))
	if len(faults) > 0 || f.WiFi.SSID == "" || !f.Gateway.IsValid() || f.Proxy == nil || f.Mobile.APN == "" || f.Code == "" {
		t.Errorf("with every line used it says %+v, %v", f, faults)
	}
	if slices.Contains(sample, '\r') {
		t.Error("the sample has Windows' line ends, which git would change")
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(whole))
	f.Add([]byte("\xef\xbb\xbflanguage = vi\r\n"))
	f.Add([]byte("\xff\xfea\x00=\x00"))
	f.Add([]byte("address = 1.2.3.4/0\ngateway = ::\ndns=,,\nproxy=http://%"))
	f.Fuzz(func(t *testing.T, b []byte) {
		file, faults := bootfile.Parse(b)
		for _, fault := range faults {
			if fault.VI == "" || fault.EN == "" || fault.Line < 0 || fault.Line > len(b)+1 {
				t.Errorf("fault %+v", fault)
			}
		}
		for _, c := range file.Connections() {
			for _, a := range c.Args {
				if strings.ContainsAny(a, "\x00\n\r") {
					t.Errorf("argument %q", a)
				}
			}
		}
		if file.Gateway.IsValid() && !file.Address.Contains(file.Gateway) {
			t.Errorf("gateway %s is not in %s", file.Gateway, file.Address)
		}
	})
}

func TestThroughAProxy(t *testing.T) {
	if bootfile.Dialer(nil) != nil {
		t.Error("a dialer without a proxy")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			in := bufio.NewReader(c)
			r, err := http.ReadRequest(in)
			if err != nil || r.Method != http.MethodConnect || r.Header.Get("Proxy-Authorization") != "Basic dTpw" {
				io.WriteString(c, "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
				c.Close()
				continue
			}
			io.WriteString(c, "HTTP/1.1 200 Connection established\r\n\r\n")
			b, _ := io.ReadAll(in)
			fmt.Fprintf(c, "%s %s", r.Host, b)
			c.Close()
		}
	}()
	proxy := &url.URL{Scheme: "http", Host: l.Addr().String()}
	if _, err := bootfile.Dialer(proxy)(t.Context(), "tcp", "qr.example.vn:8883"); err == nil || !strings.Contains(err.Error(), "407") {
		t.Errorf("without a password: %v", err)
	}
	proxy.User = url.UserPassword("u", "p")
	c, err := bootfile.Dialer(proxy)(t.Context(), "tcp", "qr.example.vn:8883")
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(c, "hello")
	c.(*net.TCPConn).CloseWrite()
	if b, err := io.ReadAll(c); err != nil || string(b) != "qr.example.vn:8883 hello" {
		t.Errorf("through the proxy: %q, %v", b, err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := bootfile.Dialer(proxy)(gone, "tcp", "qr.example.vn:8883"); err == nil {
		t.Error("dialed when nobody waits any more")
	}
}
