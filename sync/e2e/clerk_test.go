package e2e_test

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/qrgate/qrgate/sync/e2e/stage"
)

// A user is somebody who uses the portal, in a browser without script.
type user struct {
	t    *testing.T
	base string
	http.Client
}

// A clerk is somebody who issues cards.
type clerk struct{ *user }

// signIn makes an account and signs it in at the portal.
func signIn(t *testing.T, s *stage.Stage, name string, role ...string) *user {
	t.Helper()
	link, err := s.Server(t.Context(), append([]string{"account", "add", name}, role...)...)
	if err != nil {
		t.Fatal(err)
	}
	at, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	u := &user{t, "http://" + s.Portal, http.Client{Jar: jar}}
	const password = "mua xuan chin mot tram"
	u.post(at.Path, url.Values{"ma": {at.Query().Get("ma")}, "account_new_password": {password}})
	u.post("/dang-nhap", url.Values{"account_name": {name}, "account_password": {password}})
	return u
}

var secretOf = regexp.MustCompile(`(?:[A-Z2-7]{4} ){7}[A-Z2-7]{4}`)

// newClerk makes an account that may issue cards, signs it in at the portal and
// sets up its second factor.
func newClerk(t *testing.T, s *stage.Stage) *clerk {
	t.Helper()
	c := &clerk{signIn(t, s, "hoa", "-role", "clerk", "-scope", "area:19753@2025-07-01")}
	if page := c.confirm("/the"); !strings.Contains(page, "/the/nguoi/moi") {
		t.Fatalf("the clerk is not let in:\n%.3000s", page)
	}
	return c
}

// confirm sets up the second factor of somebody who has just signed in and returns the
// page to which that leads.
func (c *user) confirm(to string) string {
	c.t.Helper()
	page := c.get("/dang-nhap/xac-thuc")
	c.post("/dang-nhap/xac-thuc", url.Values{"account_code": {c.code(secretOf.FindString(page))}, "ve": {to}})
	return c.get(to)
}

// code is what an app shows for a secret now (RFC 6238).
func (c *user) code(secret string) string {
	c.t.Helper()
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ReplaceAll(secret, " ", ""))
	if err != nil || len(key) == 0 {
		c.t.Fatalf("no secret in the page: %v", err)
	}
	mac := hmac.New(sha1.New, key)
	binary.Write(mac, binary.BigEndian, time.Now().Unix()/30)
	sum := mac.Sum(nil)
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[sum[19]&15:])&0x7fffffff%1_000_000)
}

func (c *user) get(path string) string {
	c.t.Helper()
	return c.answer(c.Get(c.base + path))
}

func (c *user) post(path string, form url.Values) string {
	c.t.Helper()
	return c.answer(c.PostForm(c.base+path, form))
}

func (c *user) answer(r *http.Response, err error) string {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		// What is to be corrected stands below the page's head.
		_, wrong, _ := strings.Cut(string(b), `class="wrongs"`)
		c.t.Fatalf("%s %s = %s, %v:\n%.2000s", r.Request.Method, r.Request.URL, r.Status, err, cmp.Or(wrong, string(b)))
	}
	return string(b)
}

var holderOf = regexp.MustCompile(`/the/nguoi/[a-z2-7]{26}`)

// issue registers somebody and gives them a card. Numbers are dense, from 1.
func (c *clerk) issue(name, kind string) {
	c.t.Helper()
	page := c.post("/the/nguoi/moi", url.Values{
		"card.name": {name}, "card.born": {"1948"}, "card.sex": {"m"}, "card.phone": {"0905 123 456"}, "card.relative": {"self"},
		"card.commune": {"Phường Phú Xuân"}, "card.street": {"12 Lê Lợi"}, "card.consent": {"1"},
	})
	c.post(holderOf.FindString(page)+"/cap", url.Values{"card.kind": {kind}, "card.days": {"365"}, "card.people": {"4"}})
}

var jobOf = regexp.MustCompile(`^/the/viec/[0-9a-f]{32}`)

// print returns the PDF of a card or of a batch, by the address of its page.
func (c *clerk) print(of, layout string) []byte {
	c.t.Helper()
	r, err := c.PostForm(c.base+of+"/in", url.Values{"card.layout": {layout}, "card.names": {"name"}})
	c.answer(r, err)
	job := jobOf.FindString(r.Request.URL.Path)
	for late := time.Now().Add(time.Minute); job != "" && time.Now().Before(late); time.Sleep(50 * time.Millisecond) {
		if strings.Contains(c.get(job), job+"/the.pdf") {
			return []byte(c.get(job + "/the.pdf"))
		}
	}
	c.t.Fatalf("%s is not printed: %s", of, r.Request.URL)
	return nil
}

func (c *clerk) revoke(number int) {
	c.t.Helper()
	c.post(fmt.Sprintf("/the/so/%d/khoa", number), url.Values{"card.reason": {"lost"}})
}

// replace gives a card, whose issue is the given one, the next.
func (c *clerk) replace(number, issue int) {
	c.t.Helper()
	c.post(fmt.Sprintf("/the/so/%d/cap-lai", number), url.Values{"issue": {fmt.Sprint(issue)}, "card.days": {"730"}})
}
