//go:build full

package portal_test

import (
	"archive/zip"
	"bufio"
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"html"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/api"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/sync/pass"
)

// hostileValues reads testdata/hostile.txt.
func hostileValues(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("testdata/hostile.txt")
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		value, err := strconv.Unquote(line)
		if err != nil {
			t.Fatalf("testdata/hostile.txt: %s: %v", line, err)
		}
		values = append(values, value)
	}
	return append(values, strings.Repeat("zq ", 700), strings.Repeat("ệ", 60_000), strings.Repeat("<zq>", 250_000))
}

// Shots are hostile requests at a town. They are sent byte by byte, for no client
// would send most of them.
type shots struct {
	*town
	values  []string
	bearer  string
	mu      sync.Mutex
	sent    int
	slowest time.Duration
	what    string // took so long
}

func newShots(t *testing.T) *shots {
	s := &shots{town: newTown(t), values: hostileValues(t)}
	text, hash := api.NewToken()
	token := register.Token{System: "hue-s", Scopes: register.TokenScopes(), Until: time.Now().Add(time.Hour)}
	s.must(s.reg.AddToken(t.Context(), "", &token, hash))
	s.bearer = text
	t.Cleanup(func() {
		for _, fault := range []string{"request failed", "panicked", "page not made", "level=ERROR"} {
			for line := range strings.Lines(s.log.String()) {
				if strings.Contains(line, fault) {
					t.Errorf("the log says %.500s", line)
				}
			}
		}
		t.Logf("%d requests; the slowest answer took %v, to %.200q", s.sent, s.slowest, s.what)
	})
	return s
}

// cookies returns what somebody's browser sends; "" is a stranger.
func (s *shots) cookies(who string) string {
	s.t.Helper()
	if who == "" {
		return "a=b"
	}
	at, err := url.Parse(s.url)
	s.must(err)
	for _, c := range s.as(who, true).Jar.Cookies(at) {
		return c.String()
	}
	s.t.Fatalf("no session of %s", who)
	return ""
}

// fire sends a request in both languages and checks what is answered. Headers are
// lines; those that a request must have are added unless they are there.
func (s *shots) fire(cookies, method, target, headers string, body []byte) {
	s.t.Helper()
	for _, lang := range []string{"vi", "en"} {
		s.check(cookies, method, target, headers, body, lang)
	}
}

func (s *shots) check(cookies, method, target, headers string, body []byte, lang string) {
	s.t.Helper()
	name := fmt.Sprintf("%.20s %.200q %.100q %.200q", method, target, headers, body)
	var raw bytes.Buffer
	fmt.Fprintf(&raw, "%s %s HTTP/1.1\r\n", method, target)
	for _, h := range [][2]string{{"Host", "127.0.0.1"}, {"Cookie", cookies}, {"Accept-Language", lang}, {"Connection", "close"}, {"Content-Length", strconv.Itoa(len(body))}} {
		if !strings.Contains(headers, h[0]+":") && !(h[0] == "Content-Length" && strings.Contains(headers, "Transfer-Encoding:")) {
			fmt.Fprintf(&raw, "%s: %s\r\n", h[0], h[1])
		}
	}
	for line := range strings.Lines(headers) {
		raw.WriteString(strings.TrimSuffix(line, "\n") + "\r\n")
	}
	raw.WriteString("\r\n")
	raw.Write(body)
	began := time.Now()
	resp, page, err := s.exchange(raw.Bytes())
	took := time.Since(began)
	s.mu.Lock()
	s.sent++
	if took > s.slowest {
		s.slowest, s.what = took, name
	}
	s.mu.Unlock()
	if err != nil {
		s.t.Errorf("%s: no answer: %v", name, err)
		return
	}
	if resp.StatusCode >= 500 && resp.StatusCode != http.StatusServiceUnavailable || resp.StatusCode < 200 {
		s.t.Errorf("%s = %d %.300q", name, resp.StatusCode, page)
	}
	if resp.Header.Get("Zq-Injected") != "" || strings.Contains(resp.Header.Get("Location"), "//zq.example") && !strings.HasPrefix(resp.Header.Get("Location"), "/dang-nhap?") || slices.ContainsFunc(resp.Cookies(), func(c *http.Cookie) bool { return c.Name == "zq" }) {
		s.t.Errorf("%s makes the header %v", name, resp.Header)
	}
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
		return
	}
	for _, bad := range []string{"⟦", "<zq>", `"zq="`, "\x00"} {
		if i := bytes.Index(page, []byte(bad)); i >= 0 {
			s.t.Errorf("%s has %q on its page: …%.120q", name, bad, page[max(0, i-60):])
		}
	}
}

// patience is how long an answer may take before the test gives up: far more than
// it should, for the machine may be busy.
const patience = 2 * time.Minute

func (s *shots) exchange(raw []byte) (*http.Response, []byte, error) {
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		return nil, nil, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, nil, err
	}
	var writing sync.WaitGroup
	defer writing.Wait()
	writing.Go(func() { conn.Write(raw) }) // the server may answer, and close, before it has read all
	method, _, _ := strings.Cut(string(raw[:min(len(raw), 20)]), " ")
	from := bufio.NewReader(conn)
	resp, err := http.ReadResponse(from, &http.Request{Method: method})
	if err == nil && resp.StatusCode == http.StatusContinue {
		resp, err = http.ReadResponse(from, &http.Request{Method: method})
	}
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		conn.Close() // it would be read to its end, and has none
		return resp, nil, nil
	}
	page, err := io.ReadAll(resp.Body)
	if err != nil && len(page) == 0 {
		return nil, nil, err
	}
	return resp, page, nil
}

// escaped returns a value as a path or a query may hold it.
func escaped(value string) string {
	var out strings.Builder
	for _, b := range []byte(value) {
		fmt.Fprintf(&out, "%%%02X", b)
	}
	return out.String()
}

func TestHostileAddresses(t *testing.T) {
	t.Parallel()
	s := newShots(t)
	admin, owner, officer := s.cookies("administrator"), s.cookies("owner 0"), s.cookies("area_officer 0")
	as := func(r string) string { // who may use a route
		switch {
		case strings.HasPrefix(r, "/nguoi-dung"), strings.HasPrefix(r, "/mau"), strings.HasPrefix(r, "/ket-noi"), strings.HasPrefix(r, "/nhat-ky-he-thong"):
			return admin
		case strings.HasPrefix(r, "/vuong-mac/"), strings.HasPrefix(r, "/ho-tro"):
			return officer
		}
		return owner
	}
	names := []string{"q", "trang", "ve", "ma", "to_chuc", "to-chuc", "khu", "nganh", "loai", "xep", "trang_thai", "tinh_trang", "tim", "vai", "lang", "ra", "x", "y", "v", "state", "code", "error", "dia_diem", "tu", "den", "t", "k", "n", "luc"}
	var work sync.WaitGroup
	turn := make(chan struct{}, 4)
	for number, route := range s.Routes {
		method, path := split(route)
		if method != http.MethodGet || path == "/live" {
			continue
		}
		work.Go(func() {
			turn <- struct{}{}
			defer func() { <-turn }()
			for i, value := range s.values {
				if len(value) > 3000 {
					value = value[:3000]
				}
				lang := []string{"vi", "en"}[i%2]
				if strings.Contains(path, "{") {
					s.check(as(path), method, regexp.MustCompile(`\{[a-z]+(\.\.\.)?\}`).ReplaceAllString(path, escaped(value)), "", nil, lang)
				}
				if (i+number)%3 > 0 { // in turn: each value in a third of the queries
					continue
				}
				query := ""
				for _, name := range names {
					query += "&" + name + "=" + escaped(value)
				}
				if len(query) < 3500 {
					target := strings.ReplaceAll(path, "{no}", fmt.Sprint(s.market.place.No))
					s.check(as(path), method, regexp.MustCompile(`\{[a-z]+(\.\.\.)?\}`).ReplaceAllString(target, "1")+"?"+query[1:], "", nil, lang)
				}
			}
		})
	}
	work.Wait()
	s.survives()
}

// survives checks that the portal still works.
func (s *shots) survives() {
	s.t.Helper()
	if a := s.as("owner 0", true).ask(http.MethodGet, fmt.Sprint("/dia-diem/", s.market.place.No), nil); a.status != http.StatusOK || !bytes.Contains(a.body, []byte(s.market.name)) {
		s.t.Errorf("afterwards the place = %d %.300s", a.status, a.body)
	}
}

// A form is one that a page of the portal has.
type form struct {
	action string
	multi  bool
	fixed  url.Values // hidden fields and the button that was pressed
	fields []string   // that people fill in
	files  []string
}

var (
	formTag  = regexp.MustCompile(`(?s)<form([^>]*)>(.*?)</form>`)
	inputTag = regexp.MustCompile(`(?s)<(input|select|textarea|button)([^>]*)>`)
	attr     = regexp.MustCompile(`([a-z-]+)="([^"]*)"`)
)

func attrs(tag string) map[string]string {
	all := map[string]string{}
	for _, m := range attr.FindAllStringSubmatch(tag, -1) {
		all[m[1]] = html.UnescapeString(m[2])
	}
	return all
}

// forms returns the forms of a page that are sent by POST, once for each button.
func forms(page []byte) (all []form) {
	for _, m := range formTag.FindAllSubmatch(page, -1) {
		head := attrs(string(m[1]))
		if head["method"] != "post" {
			continue
		}
		f := form{action: head["action"], multi: head["enctype"] != "", fixed: url.Values{}}
		buttons := [][2]string{{}}
		for _, tag := range inputTag.FindAllSubmatch(m[2], -1) {
			a := attrs(string(tag[2]))
			name := a["name"]
			switch {
			case name == "" || slices.Contains(f.fields, name):
			case a["type"] == "hidden":
				f.fixed.Set(name, a["value"])
			case a["type"] == "file":
				f.files = append(f.files, name)
			case string(tag[1]) == "button":
				buttons = append(buttons, [2]string{name, a["value"]})
			default:
				f.fields = append(f.fields, name)
			}
		}
		if len(buttons) > 1 {
			buttons = buttons[1:]
		}
		for _, b := range buttons {
			one := f
			one.fixed = url.Values{}
			for name, values := range f.fixed {
				one.fixed[name] = values
			}
			if b[0] != "" {
				one.fixed.Set(b[0], b[1])
			}
			all = append(all, one)
		}
	}
	return all
}

// pages returns the addresses of all pages that somebody may see, with what the
// town has in them.
func (c *town) pages(role string) []string {
	var all []string
	for _, route := range c.Routes {
		method, path := split(route)
		if method != http.MethodGet || path == "/live" || should(route.Allow, qrgate.Role(role), role != "", true) != yes {
			continue
		}
		values := map[string]string{
			"no": fmt.Sprint(c.market.place.No), "id": c.people["member"], "role": "owner", "version": "1", "provider": "x", "name": "x", "file": "a5.svg",
			"code": pass.PosterCode(c.market.place.No, 1), "pass": fmt.Sprint(c.market.guest), "day": "2026-01-01",
		}
		switch {
		case strings.HasPrefix(path, "/su-kien/"):
			values["no"] = fmt.Sprint(c.market.event)
		case strings.HasPrefix(path, "/vuong-mac/"):
			values["id"] = c.market.difficulty
		case strings.HasPrefix(path, "/nhap-dia-diem/"):
			values["id"] = c.market.upload
		case strings.Contains(path, "/anh/"):
			values["id"] = c.market.picture
		}
		all = append(all, fill(path, values))
	}
	return all
}

func (f form) encode(values url.Values) (kind string, body []byte) {
	if !f.multi {
		return "application/x-www-form-urlencoded", []byte(values.Encode())
	}
	var out bytes.Buffer
	w := multipart.NewWriter(&out)
	for name, all := range values {
		for _, value := range all {
			w.WriteField(name, value) // into memory
		}
	}
	for _, name := range f.files {
		if part, err := w.CreateFormFile(name, "zq.xlsx"); err == nil {
			io.WriteString(part, values.Get("text"))
		}
	}
	w.Close()
	return w.FormDataContentType(), out.Bytes()
}

// Every form of every page, as somebody who may use it, with hostile values in all
// of its fields at once, and a few in each field alone.
func TestHostileForms(t *testing.T) {
	t.Parallel()
	s := newShots(t)
	seen := map[string]bool{}
	var work sync.WaitGroup
	turn := make(chan struct{}, 4)
	tried, fields := 0, 0
	for _, who := range []string{"", "owner 0", "administrator", "area_officer 0", "member"} {
		role, _, _ := strings.Cut(who, " ")
		b := s.as(who, true)
		for _, path := range s.pages(role) {
			for _, f := range forms(b.ask(http.MethodGet, path, nil).body) {
				if f.action == "" {
					f.action = path
				}
				key := fmt.Sprint(f.action, f.fixed["do"], f.fields)
				if f.action == "/ngon-ngu" && len(seen) > 0 || seen[key] || f.action == "/dang-xuat" {
					continue
				}
				seen[key] = true
				number := tried
				tried++
				fields += len(f.fields)
				// Nothing to fill in: only what is hidden can be wrong.
				bare := len(f.fields) == 0
				work.Go(func() {
					turn <- struct{}{}
					defer func() { <-turn }()
					cookies := s.cookies(who)
					target := strings.ReplaceAll((&url.URL{Path: f.action}).RequestURI(), "//", "/")
					if strings.Contains(f.action, "?") {
						target = f.action
					}
					post := func(values url.Values, i int) {
						kind, body := f.encode(values)
						s.check(cookies, http.MethodPost, target, "Content-Type: "+kind, body, []string{"vi", "en"}[i%2])
					}
					copied := func() url.Values {
						values := url.Values{}
						for name, all := range f.fixed {
							values[name] = all
						}
						return values
					}
					for i, value := range s.values {
						if bare || (i+number)%3 > 0 { // in turn: each value in a third of the forms
							continue
						}
						values := copied()
						for _, name := range f.fields {
							values.Set(name, value)
						}
						post(values, i)
					}
					names := slices.Clone(f.fields)
					for name := range f.fixed {
						names = append(names, name)
					}
					for _, name := range names {
						for i, value := range []string{"\xff\x00", "'; DROP TABLE places; --<zq>", strings.Repeat("9", 50), `"><zq>{{.}}`} {
							values := copied()
							for _, other := range f.fields {
								values.Set(other, "1")
							}
							values.Set(name, value)
							post(values, i)
							if i == 0 {
								values.Add(name, "twice")
								post(values, i+1)
							}
						}
					}
				})
			}
		}
	}
	work.Wait()
	t.Logf("%d forms with %d fields", tried, fields)
	if tried < 30 || fields < 60 {
		t.Errorf("%d forms with %d fields were found, there are more", tried, fields)
	}
	s.survives()
}

// packed returns a zip file of names and contents in turn.
func packed(parts ...string) []byte {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for i := 0; i+1 < len(parts); i += 2 {
		if f, err := w.Create(parts[i]); err == nil {
			io.WriteString(f, parts[i+1]) // into memory
		}
	}
	w.Close()
	return out.Bytes()
}

// png returns a picture that says to be of this size, with what is given in the
// place of its pixels.
func png(width, height uint32, data []byte) []byte {
	out := bytes.NewBufferString("\x89PNG\r\n\x1a\n")
	chunk := func(name string, data []byte) {
		binary.Write(out, binary.BigEndian, uint32(len(data)))
		out.WriteString(name)
		out.Write(data)
		binary.Write(out, binary.BigEndian, crc32.ChecksumIEEE(append([]byte(name), data...)))
	}
	head := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, width), height)
	chunk("IHDR", append(head, 8, 6, 0, 0, 0))
	chunk("IDAT", data)
	chunk("IEND", nil)
	return out.Bytes()
}

// hostileFiles are what may be sent where a sheet or a picture is wanted.
func hostileFiles() map[string][]byte {
	const (
		types    = `<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/></Types>`
		book     = `<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets><sheet name="a" sheetId="1" r:id="rId1"/></sheets></workbook>`
		rels     = `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/></Relationships>`
		laughter = `<?xml version="1.0"?><!DOCTYPE z [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]><worksheet><sheetData><row><c><v>&c;</v></c></row></sheetData></worksheet>`
		outside  = `<?xml version="1.0"?><!DOCTYPE z [<!ENTITY a SYSTEM "file:///etc/passwd">]><worksheet><sheetData><row><c t="inlineStr"><is><t>&a;</t></is></c></row></sheetData></worksheet>`
	)
	sheet := func(text string) []byte {
		return packed("[Content_Types].xml", types, "xl/workbook.xml", book, "xl/_rels/workbook.xml.rels", rels, "xl/worksheets/sheet1.xml", text)
	}
	var many []string
	for i := range 70_000 {
		many = append(many, fmt.Sprintf("xl/%d", i), "")
	}
	whole := sheet("<worksheet><sheetData/></worksheet>")
	gif := append([]byte("GIF89a\xff\xff\xff\xff\xf7\x00\x00"), make([]byte, 768)...)
	for range 2000 {
		gif = append(gif, "\x2c\x00\x00\x00\x00\xff\xff\xff\xff\x00\x08\x01\x00\x00"...)
	}
	return map[string][]byte{
		"nothing":                nil,
		"one byte":               {0},
		"text":                   []byte("no sheet, no picture <zq>"),
		"not UTF-8":              bytes.Repeat([]byte{0xff, 0xfe, 0}, 1000),
		"half a zip":             whole[:len(whole)/2],
		"a zip's end alone":      whole[len(whole)-22:],
		"an empty zip":           packed(),
		"a zip of 20 MB":         sheet("<worksheet><sheetData><row><c><v>" + strings.Repeat("0", 20<<20)),
		"20 MB elsewhere":        packed("[Content_Types].xml", types, "xl/workbook.xml", book, "xl/media/image1.png", strings.Repeat("\x00", 20<<20)),
		"a zip of 70000 files":   packed(many...),
		"a way up":               packed("../../../../tmp/zq", "zq", "/etc/passwd", "zq", "..\\zq", "zq"),
		"two of one name":        packed("xl/workbook.xml", book, "xl/workbook.xml", "<zq>"),
		"no workbook":            packed("[Content_Types].xml", types),
		"broken XML":             sheet("<worksheet><sheetData><row><c>"),
		"deep XML":               sheet(strings.Repeat("<a>", 200_000)),
		"laughter":               sheet(laughter),
		"an outside file":        sheet(outside),
		"a far cell":             sheet(`<worksheet><sheetData><row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData></worksheet>`),
		"no such cell":           sheet(`<worksheet><sheetData><row r="-1"><c r="ZZZZZZ99999999999"><v>1</v></c></row></sheetData></worksheet>`),
		"a far string":           sheet(`<worksheet><sheetData><row r="1"><c r="A1" t="s"><v>99999999999</v></c></row></sheetData></worksheet>`),
		"merged to the end":      sheet(`<worksheet><sheetData/><mergeCells><mergeCell ref="A1:XFD1048576"/></mergeCells></worksheet>`),
		"one quote":              []byte("a,b,\"c\n" + strings.Repeat("d\n", 100_000)),
		"many commas":            []byte(strings.Repeat(",", 1<<20)),
		"many lines":             bytes.Repeat([]byte("\n"), 1<<20),
		"formulas":               []byte("Tên địa điểm;Loại\n=cmd|' /C calc'!A0;@SUM(1)\n"),
		"UTF-16":                 []byte("\xff\xfeT\x00\xea\x00n\x00"),
		"an old XLS":             append([]byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), make([]byte, 600)...),
		"huge PNG":               png(65535, 65535, []byte("x")),
		"endless PNG":            png(1<<31-1, 1<<31-1, nil),
		"PNG of no size":         png(0, 0, nil),
		"PNG without pixels":     png(1000, 1000, nil),
		"PNG of zeros":           png(20000, 20000, zlibOf(8<<20)),
		"half a PNG":             png(100, 100, []byte("x"))[:40],
		"wide PNG":               png(1<<30, 1, zlibOf(1<<20)),
		"JPEG's head":            []byte("\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"),
		"huge JPEG":              []byte("\xff\xd8\xff\xc0\x00\x11\x08\xff\xff\xff\xff\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01\xff\xd9"),
		"JPEG with endless EXIF": append([]byte("\xff\xd8\xff\xe1\xff\xffExif\x00\x00MM\x00\x2a\x00\x00\x00\x08\xff\xff"), bytes.Repeat([]byte("\x01\x12\x00\x03\xff\xff\xff\xff\x00\x00\x00\x08"), 5000)...),
		"GIF of 2000 pictures":   gif,
		"WebP's head":            []byte("RIFF\xff\xff\xff\x7fWEBPVP8X\x0a\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff"),
		"SVG with script":        []byte(`<svg xmlns="http://www.w3.org/2000/svg" onload="zq"><script>zq</script></svg>`),
		"HTML as a picture":      []byte("<html><zq>"),
		"PDF":                    []byte("%PDF-1.7\n1 0 obj<</Length 99999999>>stream"),
	}
}

// zlibOf returns n zeros, packed for a PNG.
func zlibOf(n int) []byte {
	var out bytes.Buffer
	w := zlib.NewWriter(&out)
	w.Write(make([]byte, n)) // into memory
	w.Close()
	return out.Bytes()
}

func TestHostileFiles(t *testing.T) {
	s := newShots(t)
	place := fmt.Sprint("/dia-diem/", s.market.place.No)
	places := []struct{ who, page, path string }{
		{"owner 0", "/dia-diem/nhap", "/dia-diem/nhap"},
		{"owner 0", place + "/gioi-thieu/anh", place + "/gioi-thieu/anh"},
		{"administrator", "/mau-ap-phich", "/mau-ap-phich"},
	}
	files := hostileFiles()
	for _, p := range places {
		b, cookies := s.as(p.who, true), s.cookies(p.who)
		all := forms(b.ask(http.MethodGet, p.page, nil).body)
		i := slices.IndexFunc(all, func(f form) bool { return len(f.files) > 0 })
		if i < 0 {
			t.Errorf("%s has no field for a file", p.page)
			continue
		}
		f := all[i]
		for name, file := range files {
			for _, as := range []string{"a.xlsx", "a.csv", "a.png", "../../zq\x00\".jpg"} {
				if (as == "a.csv" || as == "a.xlsx") != (p.path == "/dia-diem/nhap") && as != "a.png" {
					continue
				}
				var out bytes.Buffer
				w := multipart.NewWriter(&out)
				for _, values := range []url.Values{f.fixed} {
					for key := range values {
						w.WriteField(key, values.Get(key)) // into memory
					}
				}
				for _, key := range f.fields {
					w.WriteField(key, "1")
				}
				part, err := w.CreateFormFile(f.files[0], as)
				s.must(err)
				part.Write(file)
				w.Close()
				t.Run(name, func(t *testing.T) {
					s.check(cookies, http.MethodPost, p.path, "Content-Type: "+w.FormDataContentType(), out.Bytes(), "vi")
				})
			}
		}
	}
	s.survives()
}

// Requests that no browser makes.
func TestHostileRequests(t *testing.T) {
	t.Parallel()
	s := newShots(t)
	code := pass.PosterCode(s.market.place.No, 1)
	place, send, bearer := fmt.Sprint("/dia-diem/", s.market.place.No), "/p/"+code+"/gui", "Authorization: Bearer "+s.bearer
	const (
		typed   = "Content-Type: application/x-www-form-urlencoded"
		jsons   = "Content-Type: application/json"
		parted  = "Content-Type: multipart/form-data; boundary=b"
		visited = `{"key":"AAECAwQFBgcICQoLDA0ODw","direction":"in","phone":"0905123456","name":"A"`
	)
	call := jsons + "\n" + bearer + "\nIdempotency-Key: 0123456789abcdef"
	long := func(n int) string { return strings.Repeat("a", n) }
	deep := func(open, shut string) string { return strings.Repeat(open, 100_000) + strings.Repeat(shut, 100_000) }
	parts := func(n int) string {
		return strings.Repeat("--b\r\nContent-Disposition: form-data; name=\"text\"\r\n\r\nx\r\n", n) + "--b--\r\n"
	}
	owner, admin, officer := s.cookies("owner 0"), s.cookies("administrator"), s.cookies("area_officer 0")
	type shot struct{ cookies, method, target, headers, body string }
	var all []shot
	add := func(cookies, method, target, headers string, bodies ...string) {
		if bodies == nil {
			bodies = []string{""}
		}
		for _, body := range bodies {
			all = append(all, shot{cookies, method, target, headers, body})
		}
	}

	// Methods.
	for _, method := range []string{"PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "get", "HEAD", "X", "POST"} {
		for _, target := range []string{"/", place, "/dang-nhap", "/api/v1/checkins", "/assets/portal.css", "/nothing"} {
			add(owner, method, target, "")
		}
	}
	// Targets.
	for _, target := range []string{
		"http://zq.example/dia-diem", "http://127.0.0.1/", "http://127.0.0.1:99999/", "https://127.0.0.1/dang-nhap", "//zq.example/", "///", "/\\zq.example", "/%2f%2fzq.example",
		"/dia-diem/../nguoi-dung", "/dia-diem/%2e%2e/nguoi-dung", "/assets/../../../../etc/passwd", "/assets/%2e%2e%2f%2e%2e%2fgo.mod", "/assets/..%5c..%5cgo.mod", "/assets/portal.css%00.png", "/assets//portal.css",
		"/icon/..%2f..%2fgo.mod", "/dia-diem/1/in/..%2f..%2fa4.pdf", "/dia-diem/1/in/a4.pdf.exe", "/dia-diem/1/in/%00", "/dia-diem/1/in/.", "/dia-diem/1/in/a4.", "/dia-diem/1/in/xem/a4.png?v=999999999999",
		"/dia-diem/-1", "/dia-diem/0", "/dia-diem/4294967296", "/dia-diem/1e0", "/dia-diem/%31%00", "/dia-diem/１", "/dia-diem/1;a=b", "/dia-diem/1.0", "/dia-diem/0x1", "/dia-diem/+1", "/gt/-1", "/gt/99999999999999999999", "/gt/1%0d%0a",
		"/p/", "/p/" + code + "%00", "/p/" + long(3000), "/p/../" + code, "/p/" + strings.ToLower(code), "/p?ma=" + long(3000), "/p?ma=%ff%00", "/p?ma=http://zq.example/p/" + code,
		"/mau-ap-phich/0/xem.png", "/mau-ap-phich/-1/xem.png", "/mau-ap-phich/9223372036854775808/xem.png", "/huong-dan/%ff", "/huong-dan/..%2f..", "/anh/" + long(26), "/anh/%27%20or%201=1",
		"/dia-diem?trang=-1", "/dia-diem?trang=9223372036854775807", "/dia-diem?trang=1&trang=2&trang=x", "/dia-diem?%ff=%fe", "/dia-diem?;a;b", "/dia-diem?q=%", "/dia-diem?q=%zz", "/dia-diem?" + strings.Repeat("q=a&", 1000), "/dia-diem?q=" + long(9000),
		"/dia-danh?q=" + strings.Repeat("%E1%BB%87", 400), "/dia-danh?q=%00", "/dia-danh?n=-1", "/ban-do.svg?x=NaN&y=Inf", "/loi-moi?ma=%00", "/dat-lai-mat-khau?ma=" + long(2000), "/xac-nhan?ma=%ff", "/vuong-mac/tra-loi?ma=%00%ff",
		"/vuong-mac?trang=javascript:alert(1)", "/vuong-mac?trang=%0d%0aZq-Injected:%201", "/dang-nhap?ve=//zq.example", "/dang-nhap?ve=%5c%5czq.example", "/dang-nhap?ve=https:zq.example", "/dang-nhap?ve=/%09/zq.example", "/dang-nhap/oidc/x?state=%00", "/dang-nhap/oidc/%2e%2e/xong?code=a&state=b&error=%3Czq%3E",
		"/nguoi-dung/%00", "/vuong-mac/%27", "/nhap-dia-diem/..%2f", "/api/v1/places/%00", "/api/v1/places/" + long(3000), "/api/..%2f..", "/api/v2/x", "/api/", "/live?x=%00", "/readyz?%00", "/graphql?query={__schema{types{name}}}", "/.env", "/.git/config", "/wp-login.php", "/cgi-bin/%2e%2e/%2e%2e/bin/sh",
	} {
		who := owner
		if strings.HasPrefix(target, "/mau") || strings.HasPrefix(target, "/nguoi") {
			who = admin
		} else if strings.HasPrefix(target, "/vuong-mac/") {
			who = officer
		}
		add(who, "GET", target, "")
	}
	// Headers.
	for _, headers := range []string{
		"Host: zq.example", "Host: 127.0.0.1:1/zq", "Host: [::1", "Host: " + long(300), "X-Forwarded-Host: zq.example", "X-Forwarded-Proto: https", "X-Forwarded-For: \xff, 1.2.3.4,,,", "Forwarded: for=\"<zq>\"", "X-Original-URL: /nguoi-dung", "X-HTTP-Method-Override: DELETE",
		"Cookie: qrgate=", "Cookie: qrgate=%00", "Cookie: qrgate=" + long(4000), "Cookie: qrgate=\"; lang=\"<zq>\"", "Cookie: lang=zq; lang=../en", "Cookie: ;;;=;=", "Cookie: qrgate=a; qrgate=b; qrgate=c", "Cookie: \xff\xfe=\x80", "Cookie: " + strings.Repeat("a=b; ", 1000),
		"Accept-Language: " + strings.Repeat("en-x-", 1000), "Accept-Language: \xff", "Accept-Language: en;q=NaN,*;q=1e999", "Accept-Language: zq-<zq>", "Accept-Encoding: gzip;q=x, " + strings.Repeat("br,", 500), "User-Agent: <zq>\xff", "Referer: javascript:<zq>", "Origin: null", "Origin: https://zq.example", "Sec-Fetch-Site: zq",
		"Range: bytes=0-,0-,0-,0-", "Range: bytes=-1", "Range: bytes=99999999999999999999-", "If-None-Match: " + long(5000), "If-None-Match: \xff", "If-Modified-Since: yesterday", "Expect: 100-continue", "Expect: zq", "Upgrade: h2c\nConnection: Upgrade, HTTP2-Settings\nHTTP2-Settings: zq", "Last-Event-ID: \xff\xfe", "Authorization: Basic !!!!", "Authorization: Bearer", "Authorization: Bearer \xff", "Content-Type: \xff;;;", "Content-Encoding: zq",
	} {
		for _, target := range []string{"/dia-diem", "/assets/portal.css", "/api/v1/places/" + code} {
			add(owner, "GET", target, headers)
		}
		add("", "POST", "/p/"+code, typed+"\n"+headers, "phone=0905123456&name=A&direction=in")
	}
	// Bodies of forms.
	for _, kind := range []string{"", "Content-Type: text/plain", "Content-Type: application/json", "Content-Type: application/xml", "Content-Type: multipart/form-data", "Content-Type: multipart/form-data; boundary=", "Content-Type: multipart/form-data; boundary=" + long(200), "Content-Type: multipart/mixed; boundary=b", "Content-Type: application/x-www-form-urlencoded; charset=utf-7", "Content-Type: a/b/c; ="} {
		for _, target := range []string{"/dia-diem/moi", "/dia-diem/nhap", "/dang-nhap", place + "/gioi-thieu/anh", "/p/" + code} {
			add(owner, "POST", target, kind, "place.name=<zq>&phone=1", "")
		}
	}
	for _, target := range []string{"/dang-nhap", "/dia-diem/moi", place, place + "/gioi-thieu", "/vuong-mac", "/p/" + code, "/to-chuc"} {
		add(owner, "POST", target, typed, "%", "%zz=%", "a=%ff&%00=%00", "&&&===", ";;;", long(70_000), "a="+long(70_000), strings.Repeat("a&", 30_000), strings.Repeat("place.name=x&", 4000), "\x00\xff\xfe", "[]", "{}", "ma=a&ma=b&ma=c")
		add(owner, "POST", target, parted, "", "--b", "--b--", "--b\r\n\r\n", parts(1), parts(1100), "--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--", "--b\r\nContent-Disposition: form-data; name=\"text\"\r\nX: "+long(60_000)+"\r\n\r\nx\r\n--b--\r\n", "--b\r\nContent-Disposition: form-data; name=\"\xff\x00\"; filename=\"../../zq\"\r\n\r\nx\r\n--b--\r\n")
	}
	for _, target := range []string{"/dia-diem/nhap", place + "/gioi-thieu/anh"} {
		add(owner, "POST", target, parted, parts(10_000), "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n"+long(500_000), strings.Repeat("--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nx\r\n", 2000)+"--b--\r\n",
			"--b\r\n"+strings.Repeat("X: y\r\n", 12_000)+"\r\nx\r\n--b--\r\n", "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=\r\n=zz=\r\n--b--\r\n", long(8<<20))
	}
	add(owner, "POST", "/dia-diem/nhap", parted+"\nTransfer-Encoding: chunked", "5\r\n--b\r\n\r\n0\r\n\r\n", "0\r\n\r\n", "0\r\nZq-Injected: yes\r\n\r\n")
	add(owner, "POST", "/dia-diem/nhap", "Content-Type: multipart/form-data; boundary=b\nContent-Encoding: gzip", "\x1f\x8b\x08")
	// JSON of phones and of other systems.
	for _, body := range []string{
		"", "null", "[]", "{", "}", "\x00", "\xff\xfe", "\xef\xbb\xbf{}", "1e999", `"`, "NaN", "{}{}", `{"key":1}`, visited, visited + `}x`, visited + `,"zq":1}`, visited + `,"name":"B","NAME":"C"}`, visited + `,"others":1e999}`, visited + `,"others":-1}`, visited + `,"others":1.5}`, visited + `,"others":99999999999999999999}`,
		visited + `,"said":9223372036854775807,"sent":1}`, visited + `,"said":-1,"sent":-1}`, visited + `,"said":1,"sent":9e18}`, visited + `,"said":1}`, visited + `,"names":[` + strings.Repeat(`"a",`, 5000) + `"a"]}`, visited + `,"names":["<zq>","\u0000","\ud800","` + "\xff" + `","\u202e"]}`, visited + `,"account":true}`, visited + `,"account":"x"}`,
		strings.Replace(visited, `"A"`, `"`+long(60_000)+`"`, 1) + "}", strings.Replace(visited, `"A"`, `"\u0000"`, 1) + "}", strings.Replace(visited, `"A"`, `"<zq>"`, 1) + "}", strings.Replace(visited, `"in"`, `"zq"`, 1) + "}", strings.Replace(visited, "AAECAwQFBgcICQoLDA0ODw", "!!", 1) + "}",
		deep("[", "]"), deep(`{"a":`, "}"), visited + `,"names":` + deep("[", "]"), `{"query":"query{__schema{types{name}}}"}`, `{"__proto__":{"x":1}}`, `{"$where":"1"}`, strings.Repeat(" ", 60_000), strings.Repeat("9", 60_000),
		`{"place_code":"` + code + `","direction":"in","subject":{"name":"A","external_id":"\u0000"}}`, `{"place_number":-1}`, `{"place_number":4294967296}`, `{"place_number":1.5}`, `{"place_code":"` + code + `","place_number":1,"direction":"in"}`, `{"place_code":"` + code + `","direction":"in","time":"9999-99-99T99:99:99Z","subject":{"name":"A"}}`,
		`{"place_code":"` + code + `","direction":"in","time":"0000-01-01T00:00:00Z","subject":{"name":"A","external_id":"1"}}`, `{"place_code":"` + code + `","direction":"in","unnamed_companions":-9223372036854775809,"subject":{}}`, `{"place_code":"` + code + `","direction":"in","companions":[` + strings.Repeat(`"x",`, 10_000) + `"x"],"subject":{"name":"A"}}`,
	} {
		add("", "POST", send, jsons, body)
		add("", "POST", "/api/v1/checkins", call, body)
	}
	for _, kind := range []string{"", typed, "Content-Type: application/json; charset=utf-16", "Content-Type: text/json", "Content-Type: application/json;;"} {
		add("", "POST", send, kind, visited+"}")
		add("", "POST", "/api/v1/checkins", kind+"\n"+bearer+"\nIdempotency-Key: 0123456789abcdef", "{}")
	}
	for _, key := range []string{"", "short", long(200), "0123456789abcdef\xff", "<zq><zq><zq><zq><zq>", "0123456789 abcdef"} {
		add("", "POST", "/api/v1/checkins", jsons+"\n"+bearer+"\nIdempotency-Key: "+key, "{}")
	}
	if len(all) < 200 {
		t.Errorf("only %d requests", len(all))
	}
	var work sync.WaitGroup
	turn := make(chan struct{}, 4)
	for _, one := range all {
		turn <- struct{}{}
		work.Go(func() {
			defer func() { <-turn }()
			headers := strings.TrimPrefix(one.headers, "\n")
			s.fire(one.cookies, one.method, one.target, headers, []byte(one.body))
		})
	}
	work.Wait()
	s.survives()
}

// What is no HTTP gets an answer or none, and the server goes on.
func TestHostileConnections(t *testing.T) {
	t.Parallel()
	s := newShots(t)
	var open []net.Conn
	for _, raw := range []string{
		"", "\x00", "\r\n\r\n", "GET", "GET /\r\n\r\n", "GET / HTTP/9.9\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", "GET / HTTP/1.1\nHost: a\n\n",
		"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n", "GET /ệ HTTP/1.1\r\nHost: a\r\n\r\n", "GET /\xff\xfe HTTP/1.1\r\nHost: a\r\n\r\n", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", "GET zq HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", "POST /dang-nhap HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /zq HTTP/1.1\r\n\r\n",
		"POST /dang-nhap HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: zq\r\n\r\n", "POST /dang-nhap HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "POST /dang-nhap HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nx", "POST /dang-nhap HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\nshort",
		"GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("a", 2<<20) + "\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: y\r\n", 200_000) + "\r\n", "GET /" + strings.Repeat("a", 2<<20) + " HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\xff\xfe: x\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "SSH-2.0-zq\r\n", strings.Repeat("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 200), "GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n",
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		s.must(err)
		open = append(open, conn)
		s.must(conn.SetDeadline(time.Now().Add(patience)))
		conn.Write([]byte(raw)) // which the server may refuse to read
	}
	s.survives() // with all of them open
	for _, conn := range open {
		conn.Close()
	}
	s.survives()
}
