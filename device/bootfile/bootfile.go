// Package bootfile is the one file on the boot partition that somebody edits on a
// computer with Windows before the card goes into the kiosk: the network where no cable
// with automatic addresses and no Wi-Fi code will do, the proxy, the language, and an
// enrolment code where none can be shown.
//
//	f, faults := bootfile.Read("/boot/firmware/qrgate.txt")
//	for _, fault := range faults { show(fault.VI) } // "qrgate.txt, dòng 7: ..."
//	for _, args := range f.Connections() { run(nmcli, args) }
//
// The promise: a mistake never hides. Each line that cannot be used is named with its
// number and what to write instead; all other lines count. A file that is not there says
// nothing and is no mistake. No fault quotes a password.
//
// Left out: who runs what changes the network, and when.
package bootfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/qrgate/qrgate/device/enrolment"
	"github.com/qrgate/qrgate/sync/guide"
	"github.com/qrgate/qrgate/sync/pairing"
	"github.com/qrgate/qrgate/sync/words"
)

// MaxBytes is how large the file may be.
const MaxBytes = 16 << 10

// A File is what the file says. The zero value says nothing.
type File struct {
	Language words.Lang // "" asks
	WiFi     enrolment.WiFi
	Address  netip.Prefix // of the cable; zero is automatic
	Gateway  netip.Addr
	DNS      []netip.Addr
	Proxy    *url.URL
	Mobile   Mobile
	Wired    []string // parts that are wired as the guide draws them, of guide.Wired
	Exit     bool     // people also leave through this door
	Code     string   // an enrolment code
}

// A Mobile is a mobile network.
type Mobile struct{ APN, User, Password, PIN string }

// A Fault is a line that cannot be used.
type Fault struct {
	Line   int // 0 is the whole file
	VI, EN string
}

// String returns the fault in both languages, on one line.
func (f Fault) String() string { return f.VI + " / " + f.EN }

// Read reads the file at path; "" and a file that is not there say nothing.
func Read(path string) (File, []Fault) {
	if path == "" {
		return File{}, nil
	}
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return File{}, nil
	}
	var b []byte
	if err == nil {
		defer file.Close()
		b, err = io.ReadAll(io.LimitReader(file, MaxBytes+1))
	}
	if err != nil {
		return File{}, []Fault{{VI: "Không đọc được tệp qrgate.txt: chép lại tệp mẫu vào thẻ nhớ.", EN: "qrgate.txt cannot be read: copy the sample onto the card again."}}
	}
	return Parse(b)
}

// Parse reads a file as Windows, Linux and Mac editors save one: with any line ends, with
// or without a byte order mark, in UTF-8 or UTF-16.
func Parse(b []byte) (File, []Fault) {
	text, ok := decode(b)
	if !ok || len(b) > MaxBytes {
		return File{}, []Fault{{VI: "Tệp qrgate.txt không phải tệp chữ: trong Notepad chọn Lưu với mã UTF-8.", EN: "qrgate.txt is no text: in Notepad, save it as UTF-8."}}
	}
	p := parser{set: map[string]int{}}
	n := 0
	for line := range strings.SplitSeq(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text), "\n") {
		n++
		p.line(n, line)
	}
	p.together()
	slices.SortStableFunc(p.faults, func(a, b Fault) int { return a.Line - b.Line })
	return p.File, p.faults
}

// decode returns the text of b, whatever an editor has made of it.
func decode(b []byte) (string, bool) {
	var wide []uint16
	switch {
	case bytes.HasPrefix(b, []byte{0xff, 0xfe}):
		for i := 2; i+1 < len(b); i += 2 {
			wide = append(wide, uint16(b[i])|uint16(b[i+1])<<8)
		}
		return string(utf16.Decode(wide)), true
	case bytes.HasPrefix(b, []byte{0xfe, 0xff}):
		for i := 2; i+1 < len(b); i += 2 {
			wide = append(wide, uint16(b[i+1])|uint16(b[i])<<8)
		}
		return string(utf16.Decode(wide)), true
	}
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	return string(b), utf8.Valid(b)
}

type parser struct {
	File
	set    map[string]int // line of each key
	faults []Fault
}

func (p *parser) fault(line int, vi, en string) {
	p.faults = append(p.faults, Fault{line, fmt.Sprintf("qrgate.txt, dòng %d: %s", line, vi), fmt.Sprintf("qrgate.txt, line %d: %s", line, en)})
}

// names are the keys.
var names = []string{"language", "address", "gateway", "dns", "wifi_name", "wifi_password", "wifi_hidden", "proxy", "apn", "apn_user", "apn_password", "sim_pin", "wired", "exit", "code"}

func (p *parser) line(n int, line string) {
	line = strings.TrimSpace(line)
	if line == "" || line[0] == '#' || line[0] == ';' {
		return
	}
	key, value, ok := strings.Cut(line, "=")
	key = strings.ReplaceAll(strings.ToLower(strings.TrimSpace(key)), "-", "_")
	value = unquote(strings.TrimSpace(value))
	switch {
	case !ok:
		p.fault(n, `thiếu dấu =. Viết như: address = 192.168.1.20/24`, `an = is missing. Write as: address = 192.168.1.20/24`)
		return
	case !slices.Contains(names, key):
		p.fault(n, fmt.Sprintf("không có mục %s. Chép đúng tên từ các dòng mẫu có # trong tệp.", shown(key)), fmt.Sprintf("there is no %s. Copy the name from the file's lines with #.", shown(key)))
		return
	case p.set[key] != 0:
		p.fault(n, fmt.Sprintf("mục %s đã có ở dòng %d. Xóa một dòng.", key, p.set[key]), fmt.Sprintf("%s stands in line %d already. Delete one.", key, p.set[key]))
		return
	}
	p.set[key] = n
	if value == "" {
		return // as good as not there
	}
	if strings.ContainsFunc(value, unicode.IsControl) || len(value) > 256 {
		p.fault(n, "giá trị quá dài hoặc có ký tự lạ. Gõ lại dòng này.", "the value is too long or has strange characters. Type the line again.")
		return
	}
	p.value(n, key, value)
}

// shown returns a key that somebody has written so that it can be shown.
func shown(key string) string {
	key = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, key)
	if r := []rune(key); len(r) > 24 {
		key = string(r[:24]) + "…"
	}
	return `"` + key + `"`
}

// unquote takes away quotation marks that somebody has put around a value.
func unquote(s string) string {
	r := []rune(s)
	if len(r) >= 2 && strings.ContainsRune(`"“”`, r[0]) && strings.ContainsRune(`"“”`, r[len(r)-1]) {
		return string(r[1 : len(r)-1])
	}
	return s
}

func (p *parser) value(n int, key, value string) {
	switch key {
	case "language":
		switch strings.ToLower(value) {
		case "vi":
			p.Language = words.Vietnamese
		case "en":
			p.Language = words.English
		default:
			p.fault(n, "language là vi (tiếng Việt) hoặc en (tiếng Anh).", "language is vi or en.")
		}
	case "address":
		a, err := netip.ParsePrefix(value)
		if err != nil || !usable(a.Addr()) || a.Bits() == 0 {
			p.fault(n, "địa chỉ viết kèm độ dài mạng, như 192.168.1.20/24.", "an address is written with the length of its network, as 192.168.1.20/24.")
			return
		}
		p.Address = a
	case "gateway":
		a, err := netip.ParseAddr(value)
		if err != nil || !usable(a) {
			p.fault(n, "gateway là địa chỉ của bộ định tuyến, như 192.168.1.1.", "gateway is the address of the router, as 192.168.1.1.")
			return
		}
		p.Gateway = a
	case "dns":
		for _, one := range strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' || r == ';' }) {
			a, err := netip.ParseAddr(one)
			if err != nil || !usable(a) || len(p.DNS) == 4 {
				p.DNS = nil
				p.fault(n, "dns là một đến bốn địa chỉ, như 192.168.1.1, 8.8.8.8.", "dns is one to four addresses, as 192.168.1.1, 8.8.8.8.")
				return
			}
			p.DNS = append(p.DNS, a)
		}
	case "wifi_name":
		if len(value) > 32 || strings.HasPrefix(value, "-") {
			p.fault(n, "tên Wi-Fi dài nhất 32 ký tự và không bắt đầu bằng dấu -.", "a Wi-Fi's name has at most 32 bytes and does not begin with -.")
			return
		}
		p.WiFi.SSID = value
	case "wifi_password":
		if len(value) < 8 || len(value) > 64 || strings.HasPrefix(value, "-") {
			p.fault(n, "mật khẩu Wi-Fi có 8 đến 64 ký tự và không bắt đầu bằng dấu -.", "a Wi-Fi password has 8 to 64 letters and does not begin with -.")
			return
		}
		p.WiFi.Password = value
	case "wifi_hidden", "exit":
		yes := strings.EqualFold(value, "yes")
		switch {
		case !yes && !strings.EqualFold(value, "no"):
			p.fault(n, key+" là yes hoặc no.", key+" is yes or no.")
		case key == "exit":
			p.Exit = yes
		default:
			p.WiFi.Hidden = yes
		}
	case "wired":
		for _, part := range strings.FieldsFunc(strings.ToLower(value), func(r rune) bool { return r == ',' || r == ' ' || r == ';' }) {
			if !slices.Contains(guide.Wired(), part) {
				p.Wired = nil
				all := strings.Join(guide.Wired(), ", ")
				p.fault(n, "wired chỉ gồm những phần đã đấu dây: "+all+".", "wired names parts that are wired: "+all+".")
				return
			}
			if !slices.Contains(p.Wired, part) {
				p.Wired = append(p.Wired, part)
			}
		}
	case "proxy":
		u, err := url.Parse(value)
		if err != nil || u.Scheme != "http" || u.Hostname() == "" || u.Port() == "" || u.Path != "" && u.Path != "/" {
			p.fault(n, "proxy viết như http://10.0.0.1:3128.", "proxy is written as http://10.0.0.1:3128.")
			return
		}
		p.Proxy = u
	case "apn":
		if !plain(value, 100) {
			p.fault(n, "apn chỉ có chữ, số, dấu chấm và gạch, như v-internet.", "an apn has letters, digits, dots and dashes, as v-internet.")
			return
		}
		p.Mobile.APN = value
	case "apn_user":
		p.Mobile.User = value
	case "apn_password":
		p.Mobile.Password = value
	case "sim_pin":
		if len(value) < 4 || len(value) > 8 || strings.Trim(value, "0123456789") != "" {
			p.fault(n, "sim_pin có 4 đến 8 chữ số.", "a sim_pin has 4 to 8 digits.")
			return
		}
		p.Mobile.PIN = value
	case "code":
		value = strings.ToUpper(strings.ReplaceAll(value, " ", ""))
		if _, err := pairing.Parse(value); err != nil {
			p.fault(n, `code là dòng chữ QGE1... dưới mã ở trang "Thêm thiết bị". Chép lại cho đủ.`, `code is the text QGE1... under the code on the page "Add a kiosk". Copy all of it.`)
			return
		}
		p.Code = value
	}
}

// together checks what only makes sense with something else.
func (p *parser) together() {
	lacks := func(key, other string) {
		n := p.set[key]
		named := slices.ContainsFunc(p.faults, func(f Fault) bool { return f.Line == n })
		if n != 0 && p.set[other] == 0 && !named {
			p.fault(n, fmt.Sprintf("có %s thì phải có %s.", key, other), fmt.Sprintf("%s needs %s.", key, other))
		}
	}
	lacks("wifi_password", "wifi_name")
	lacks("gateway", "address")
	lacks("apn_user", "apn")
	lacks("apn_password", "apn")
	if p.Gateway.IsValid() && p.Address.IsValid() && !p.Address.Contains(p.Gateway) {
		p.fault(p.set["gateway"], "gateway phải cùng mạng với address.", "the gateway must be in the network of address.")
		p.Gateway = netip.Addr{}
	}
	if !p.Address.IsValid() {
		p.Gateway = netip.Addr{}
	}
	if p.Gateway.IsValid() && p.Gateway == p.Address.Addr() {
		p.fault(p.set["gateway"], "gateway là bộ định tuyến, không phải chính máy này.", "the gateway is the router, not this machine.")
		p.Gateway = netip.Addr{}
	}
}

// usable reports whether a machine can have an address, or be asked at it.
func usable(a netip.Addr) bool {
	return a.Zone() == "" && !a.IsUnspecified() && !a.IsMulticast() && !a.IsLoopback() && a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// plain reports whether a text has letters, digits, dots and dashes alone.
func plain(s string, most int) bool {
	return len(s) <= most && !strings.HasPrefix(s, "-") && !strings.ContainsFunc(s, func(r rune) bool {
		return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune(".-_", r)
	})
}
