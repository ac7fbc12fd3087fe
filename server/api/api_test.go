package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/api"
	"github.com/qrgate/qrgate/server/ingest"
	"github.com/qrgate/qrgate/server/portal/visit/visittest"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/signin"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

// A client is another system.
type client struct {
	*visittest.World
	t        testing.TB
	handler  http.Handler
	contract *contract
	token    string
}

func newClient(t testing.TB, change ...func(*api.Options)) *client {
	t.Helper()
	w := visittest.New(t)
	o := api.Options{Register: w.Register, Desk: w.Ingest, Log: slog.New(slog.DiscardHandler)}
	for _, c := range change {
		c(&o)
	}
	c := &client{World: w, t: t, handler: api.New(o), contract: readContract(t)}
	c.token = c.newToken("Hue-S", register.TokenScopes()...)
	return c
}

func (c *client) newToken(system string, scopes ...register.TokenScope) string {
	c.t.Helper()
	text, hash := api.NewToken()
	err := c.Register.AddToken(c.t.Context(), "", &register.Token{System: system, Scopes: scopes, Until: time.Now().Add(time.Hour)}, hash)
	if err != nil {
		c.t.Fatal(err)
	}
	return text
}

// ask sends a request and checks what comes back against the contract.
func (c *client) ask(method, path, body string, headers ...string) (*http.Response, map[string]any) {
	c.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+c.token)
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Del(headers[i])
		if headers[i+1] != "" {
			r.Header.Set(headers[i], headers[i+1])
		}
	}
	w := httptest.NewRecorder()
	c.handler.ServeHTTP(w, r)
	resp := w.Result()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	var v map[string]any
	if err := json.Unmarshal(got, &v); err != nil {
		c.t.Fatalf("%s %.60s = %d %.100s: %v", method, path, resp.StatusCode, got, err)
	}
	c.contract.check(c.t, r, resp, v)
	return resp, v
}

var keys int

// send posts a check-in under a key of its own.
func (c *client) send(body string, headers ...string) (*http.Response, map[string]any) {
	c.t.Helper()
	keys++
	return c.ask("POST", "/api/v1/checkins", body, append([]string{"Idempotency-Key", fmt.Sprintf("key-of-this-test-%d", keys)}, headers...)...)
}

func checkinOf(code string) string {
	return fmt.Sprintf(`{"place_code":%q,"direction":"in","subject":{"external_id":"u-1","name":"Lê Thị Lan","phone":"+84905000111"}}`, code)
}

// The whole contract: every status that it documents is asked for, every answer
// is of its schema, and no status comes that it does not document.
func TestContract(t *testing.T) {
	c := newClient(t)
	p, gone := c.Place("Chợ Đông Ba"), c.Place("Quán cũ")
	c.Delete(gone, time.Now().Add(-time.Hour))
	code, closed := pass.PosterCode(p.No, 2), pass.PosterCode(gone.No, 1)
	reader, writer := c.newToken("reader", register.PlaceRead), c.newToken("writer", register.CheckinWrite)
	const once = "0b5c9a4e-6f3d-4a51-9a55-d0a1b2c3d4e5"

	for _, tt := range []struct {
		method, path, body string
		headers            []string
		status             int
		kind               string // of a problem
	}{
		{"GET", "/api/openapi.json", "", []string{"Authorization", ""}, 200, ""},
		{"GET", "/api/v1/places/" + code, "", nil, 200, ""},
		{"GET", "/api/v1/places/" + strings.ToLower(code), "", nil, 200, ""},
		{"GET", "/api/v1/places/AAAAAAAA-1", "", nil, 404, "place"},
		{"GET", "/api/v1/places/" + pass.PosterCode(4_000_000_000, 1), "", nil, 404, "place"},
		{"GET", "/api/v1/places/" + strings.Repeat("x", 3000), "", nil, 400, "malformed"},
		{"GET", "/api/v1/places/%00", "", nil, 400, "malformed"},
		{"GET", "/api/v1/places/" + closed, "", nil, 410, "closed"},
		{"GET", "/api/v1/places/" + code, "", []string{"Authorization", ""}, 401, "token"},
		{"GET", "/api/v1/places/" + code, "", []string{"Authorization", "Bearer qrg_" + strings.Repeat("A", 32)}, 401, "token"},
		{"GET", "/api/v1/places/" + code, "", []string{"Authorization", "Basic " + c.token}, 401, "token"},
		{"GET", "/api/v1/places/" + code, "", []string{"Authorization", "Bearer " + writer}, 403, "scope"},
		{"POST", "/api/v1/checkins", checkinOf(code), []string{"Idempotency-Key", once}, 201, ""},
		{"POST", "/api/v1/checkins", checkinOf(code), []string{"Idempotency-Key", once}, 200, ""},
		{"POST", "/api/v1/checkins", " " + checkinOf(code) + "\n", []string{"Idempotency-Key", once}, 200, ""},
		{"POST", "/api/v1/checkins", strings.Replace(checkinOf(code), "u-1", "u-2", 1), []string{"Idempotency-Key", once}, 409, "conflict"},
		{"POST", "/api/v1/checkins", strings.Replace(checkinOf(code), `"in"`, `"out"`, 1), []string{"Idempotency-Key", once}, 409, "conflict"},
		{"POST", "/api/v1/checkins", checkinOf(code), []string{"Idempotency-Key", once, "Authorization", "Bearer " + writer}, 201, ""},
		{"POST", "/api/v1/checkins", checkinOf(code), []string{"Idempotency-Key", once, "Authorization", "Bearer " + reader}, 403, "scope"},
		{"POST", "/api/v1/checkins", checkinOf(code), []string{"Idempotency-Key", once, "Authorization", "Bearer nothing"}, 401, "token"},
		{"POST", "/api/v1/checkins", checkinOf(code), nil, 400, "malformed"},
		{"POST", "/api/v1/checkins", checkinOf(code), []string{"Idempotency-Key", "short"}, 400, "malformed"},
		{"POST", "/api/v1/checkins", checkinOf("AAAAAAAA-1"), []string{"Idempotency-Key", once}, 404, "place"},
		{"POST", "/api/v1/checkins", checkinOf(closed), []string{"Idempotency-Key", once}, 410, "closed"},
		{"POST", "/api/v1/checkins", checkinOf(code), []string{"Idempotency-Key", once, "Content-Type", "text/plain"}, 415, "media-type"},
		{"POST", "/api/v1/checkins", strings.Repeat(" ", 40_000) + checkinOf(code), []string{"Idempotency-Key", once}, 413, "too-long"},
		{"POST", "/api/v1/checkins", `{}`, []string{"Idempotency-Key", once}, 422, "invalid"},
		{"GET", "/api/v1/checkins", "", nil, 405, "method"},
		{"DELETE", "/api/v1/places/" + code, "", nil, 405, "method"},
		{"GET", "/api/v2", "", nil, 404, "not-found"},
	} {
		resp, v := c.ask(tt.method, tt.path, tt.body, tt.headers...)
		if resp.StatusCode != tt.status || tt.kind != "" && v["type"] != "urn:qrgate:problem:"+tt.kind {
			t.Errorf("%s %.60s %.80s = %d %v, want %d %s", tt.method, tt.path, tt.body, resp.StatusCode, v, tt.status, tt.kind)
		}
	}
	if resp, v := c.send(strings.Replace(checkinOf(closed), `"direction"`, `"time":"`+time.Now().Add(-2*time.Hour).Format(time.RFC3339)+`","direction"`, 1)); resp.StatusCode != 201 {
		t.Errorf("before the place closed = %d %v", resp.StatusCode, v)
	}
	if resp, v := c.send(strings.Replace(checkinOf(code), `"direction"`, `"time":"`+time.Now().Add(-30*24*time.Hour).Format(time.RFC3339)+`","direction"`, 1)); resp.StatusCode != 422 || v["type"] != "urn:qrgate:problem:too-late" {
		t.Errorf("a month late = %d %v", resp.StatusCode, v)
	}

	// What only happens under load, and by our own faults.
	for _, tt := range []struct {
		err    error
		status int
	}{{ingest.ErrBusy, 503}, {context.DeadlineExceeded, 503}, {io.ErrUnexpectedEOF, 500}} {
		ill := newClient(t, func(o *api.Options) { o.Desk = desk{tt.err} })
		ill.contract = c.contract
		resp, v := ill.send(checkinOf(pass.PosterCode(ill.Place("Chợ").No, 1)))
		if resp.StatusCode != tt.status || tt.status == 503 && resp.Header.Get("Retry-After") == "" {
			t.Errorf("%v = %d %v", tt.err, resp.StatusCode, v)
		}
	}
	full := newClient(t, func(o *api.Options) { o.Limits.Account = signin.Rate{Burst: 1, Every: time.Hour} })
	full.contract = c.contract
	for range 2 {
		full.ask("GET", "/api/v1/places/"+pass.PosterCode(1, 1), "")
	}
	resp, v := full.send(checkinOf(code))
	if resp.StatusCode != 429 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("beyond the limit = %d %v", resp.StatusCode, v)
	}
	broken := newClient(t)
	broken.contract = c.contract
	torn := broken.Place("Chợ")
	err := broken.Store.Write(t.Context(), func(x store.Tx) error {
		_, err := x.Exec("UPDATE places SET phones = '{' WHERE no = ?", int64(torn.No))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if resp, v := broken.ask("GET", "/api/v1/places/"+pass.PosterCode(torn.No, 1), ""); resp.StatusCode != 500 {
		t.Errorf("a row that cannot be read = %d %v", resp.StatusCode, v)
	}
	c.contract.complete(t)
}

type desk struct{ err error }

func (d desk) Visit(context.Context, ingest.Visit) (ingest.Receipt, error) {
	return ingest.Receipt{}, d.err
}

// A check-in by an app ends in the table where a kiosk's do, with how sure the
// app is of who it was.
func TestCheckin(t *testing.T) {
	c := newClient(t)
	p := c.Place("Bến xe phía Nam")
	said := time.Now().Add(-time.Hour).Truncate(time.Second)
	body := fmt.Sprintf(`{"place_number":%d,"direction":"out","time":%q,"subject":{"external_id":"u-1","name":"Lê Thị Lan"},"companions":["Nguyễn Văn An"],"unnamed_companions":2}`,
		p.No, said.Format(time.RFC3339))
	resp, v := c.send(body)
	if resp.StatusCode != 201 || v["people"] != 4.0 || v["place"].(map[string]any)["name"] != p.Name {
		t.Fatalf("check-out = %d %v", resp.StatusCode, v)
	}
	if text, _ := json.Marshal(v); strings.Contains(string(text), "Lan") {
		t.Errorf("the answer names the user: %s", text)
	}
	happened, err := time.Parse(time.RFC3339, v["happened"].(string))
	if err != nil || happened.Sub(said).Abs() > time.Second {
		t.Errorf("happened = %v, want %v", v["happened"], said)
	}
	rows := c.Rows()
	if len(rows) != 4 {
		t.Fatalf("%d rows, want 4", len(rows))
	}
	first := rows[0]
	if first.Pass != pass.Account || first.Level != qrgate.Checked || first.Direction != wire.Out || first.PlaceNo != p.No || first.Gate != "api" {
		t.Errorf("row = %+v", first)
	}

	// The same user under the system's next token, and under another system's.
	person := func(i int) qrgate.Person {
		t.Helper()
		row := c.Rows()[i]
		who, err := c.Vault.Person(row.Day, row.Subject)
		if err != nil {
			t.Fatal(err)
		}
		return who
	}
	c.token = c.newToken("HUE-S", register.CheckinWrite)
	c.send(checkinOf(pass.PosterCode(p.No, 1)))
	c.token = c.newToken("Other", register.CheckinWrite)
	c.send(checkinOf(pass.PosterCode(p.No, 1)))
	if person(4) != person(0) || person(5) == person(0) {
		t.Errorf("persons %d, %d, %d: want the second as the first, and the third another", person(0), person(4), person(5))
	}

	// Of somebody whom the app knows by number alone.
	c.send(fmt.Sprintf(`{"place_number":%d,"direction":"in","identity":"contacted","subject":{"name":"An","phone":"+84905123456"}}`, p.No))
	if last := c.Rows()[6]; last.Pass != pass.Phone || last.Level != qrgate.Contacted {
		t.Errorf("row of a number = %+v", last)
	}
}

func TestWrongFields(t *testing.T) {
	c := newClient(t)
	p := c.Place("Chợ")
	good := fmt.Sprintf(`{"place_number":%d,"direction":"in","subject":{"external_id":"u-1","name":"An"}}`, p.No)
	with := func(old, new string) string { return strings.Replace(good, old, new, 1) }
	for _, tt := range []struct{ body, field string }{
		{with(`"direction":"in",`, ``), "direction"},
		{with(`"in"`, `"up"`), "direction"},
		{with(`"direction"`, `"place_code":"AAAAAAAA-1","direction"`), "place_code"},
		{with(`"external_id":"u-1",`, ``), "subject.external_id"},
		{with(`u-1`, strings.Repeat("x", 101)), "subject.external_id"},
		{with(`u-1`, `a\u0000`), "subject.external_id"},
		{with(`"An"`, `""`), "subject.name"},
		{with(`"An"`, `"a\nb"`), "subject.name"},
		{with(`"An"`, `"`+strings.Repeat("ả", 101)+`"`), "subject.name"},
		{with(`"An"`, `"An","phone":"0905123456"`), "subject.phone"},
		{with(`"direction"`, `"identity":"sure","direction"`), "identity"},
		{with(`"direction"`, `"time":"2099-01-01T00:00:00Z","direction"`), "time"},
		{with(`"direction"`, `"time":"0001-01-01T00:00:00Z","direction"`), "time"},
		{with(`"direction"`, `"unnamed_companions":50,"direction"`), "unnamed_companions"},
		{with(`"direction"`, `"unnamed_companions":-1,"direction"`), "unnamed_companions"},
		{with(`"direction"`, `"companions":["an"],"direction"`), "companions[0]"},
		{with(`"direction"`, `"companions":["Bình","binh","bình"],"direction"`), "companions[2]"},
	} {
		resp, v := c.send(tt.body)
		faults, _ := v["errors"].([]any)
		if resp.StatusCode != 422 || !slices.ContainsFunc(faults, func(f any) bool { return f.(map[string]any)["field"] == tt.field }) {
			t.Errorf("%.150s = %d %v, want 422 of %s", tt.body, resp.StatusCode, v, tt.field)
		}
	}
	for _, body := range []string{
		"", "null", "[]", "{", good + "{}", with(`"An"`, `7`), with(`"direction"`, `"more":1,"direction"`), with(`"An"`, "\"\xff\""),
		with(`"direction"`, `"time":"yesterday","direction"`), with(fmt.Sprint(p.No), "-1"), with(fmt.Sprint(p.No), "99999999999"), strings.Repeat("[", 10_000),
	} {
		resp, v := c.send(body)
		// An empty object and null are of the right form and lack everything.
		if resp.StatusCode != 400 && !(body == "null" && resp.StatusCode == 422) || strings.Contains(fmt.Sprint(v), "yesterday") {
			t.Errorf("%.80q = %d %v, want 400", body, resp.StatusCode, v)
		}
	}
	if n := len(c.Rows()); n != 0 {
		t.Errorf("%d rows of wrong requests", n)
	}
}

func TestTokenEnds(t *testing.T) {
	c := newClient(t)
	code := pass.PosterCode(c.Place("Chợ").No, 1)
	if resp, _ := c.ask("GET", "/api/v1/places/"+code, ""); resp.StatusCode != 200 {
		t.Fatalf("with a token = %d", resp.StatusCode)
	}
	all, err := c.Register.Tokens(t.Context())
	if err != nil || len(all) != 1 || all[0].Used.IsZero() {
		t.Fatalf("Tokens() = %+v, %v", all, err)
	}
	if err := c.Register.RevokeToken(t.Context(), "", all[0].ID); err != nil {
		t.Fatal(err)
	}
	if resp, _ := c.ask("GET", "/api/v1/places/"+code, ""); resp.StatusCode != 401 || resp.Header.Get("WWW-Authenticate") == "" {
		t.Errorf("with a token that was taken back = %d", resp.StatusCode)
	}
	// Trying tokens does not go on for ever.
	var resp *http.Response
	for range 31 {
		resp, _ = c.ask("GET", "/api/v1/places/"+code, "")
	}
	if resp.StatusCode != 429 {
		t.Errorf("after 32 wrong tokens = %d, want 429", resp.StatusCode)
	}
}
