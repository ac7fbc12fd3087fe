package e2e_test

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	_ "modernc.org/sqlite"

	"github.com/qrgate/qrgate/sync/e2e/stage"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

// A door is configured from the portal while it stands open: what the page says is
// what the door does and its screen shows. What it cannot run with it refuses, and
// the page says why: values from a server that judges less, and an address at which
// nobody answers. A version from before is returned to, and lasts.
func TestDoorIsConfiguredFromThePortal(t *testing.T) {
	t.Parallel()
	screen, err := stage.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	p, _ := atOneDoor(t, "cho-dong-ba-1", "Chợ Đông Ba", fmt.Sprintf("[screen]\nlisten = %q\n", screen))
	k := p.kiosk
	file := filepath.Join(k.Dir, "kiosk.toml")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(string(b), "[server]\n", "[server]\ntrial = \"3s\"\n", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	k.start()
	o := &configurer{signIn(t, p.stage, "van-hanh", "-role", "operator"), p, "/thiet-bi/" + k.ID + "/cau-hinh"}
	o.confirm(o.at)
	cards := strings.Fields(p.command("card", "-number", "1", "-count", "10"))
	show := func() { k.show(cards[0]); cards = cards[1:] }

	t.Log("nobody has said anything: the kiosk's own file counts")
	o.says("Kiosk chạy theo tệp của nó", "theo tệp trên kiosk")
	show()

	t.Log("the door is said to be a way out, and has another help line")
	o.changes("door.gate", "B2", "door.direction", "out", "door.help_line", "0234 3822 999")
	o.says("Đang chạy bản mới nhất")
	show()
	came := func(gate string) func() bool {
		return func() bool {
			rows := p.rows(k)
			return len(rows) > 0 && rows[len(rows)-1].Gate == gate && rows[len(rows)-1].Direction == "out"
		}
	}
	p.until("a check-in out of gate B2", came("B2"))
	if page := fetch(t, "http://"+screen); !strings.Contains(page, "0234 3822 999") || !strings.Contains(page, "B2") {
		t.Errorf("the screen's page does not show what was configured:\n%.2000s", page)
	}

	t.Log("a server that judges less says that the way out holds people in")
	o.smuggle(2)
	o.says("Kiosk từ chối", "Kiosk không chạy được với các giá trị này", "on_fault: an exit lane")
	show()

	t.Log("the operator returns to the version before")
	o.sends(o.get(o.at + "?ban=1"))
	o.says("Đang chạy bản mới nhất", "Trở lại bản 1")

	t.Log("the server is said to be where nobody answers")
	nowhere, err := stage.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	o.changes("door.gate", "N1", "door.direction", "out", "server.url", "tls://"+nowhere, "server.name", "localhost")
	o.says("Kiosk từ chối", "không máy chủ nào trả lời", "nobody answered at tls://"+nowhere)
	show()

	t.Log("and then where it is, by another way")
	o.changes("door.gate", "N2", "door.direction", "out", "server.url", "tls://"+p.stage.Broker, "server.name", "localhost")
	o.says("Đang chạy bản mới nhất")

	t.Log("the kiosk starts without a network")
	p.killServers()
	k.kill()
	k.start()
	show()
	if said, err := k.Command(t.Context(), "check-config"); err != nil || !strings.Contains(said, "gate A1") || !strings.Contains(said, "gate N2, direction out, server tls://"+p.stage.Broker) {
		t.Errorf("check-config: %v:\n%s", err, said)
	}
	p.startServers()
	p.until("a check-in out of gate N2", came("N2"))
}

// A configurer is an operator at the page of a kiosk's configuration.
type configurer struct {
	*user
	p  *play
	at string
}

// says waits until the page says all of these.
func (o *configurer) says(want ...string) {
	o.t.Helper()
	o.p.until("the page says "+strings.Join(want, ", "), func() bool {
		page := o.get(o.at)
		for _, s := range want {
			if !strings.Contains(page, s) {
				return false
			}
		}
		return true
	})
}

var hiddenInput = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)">`)

// changes fills in the form, and confirms what it changes.
func (o *configurer) changes(pairs ...string) {
	o.t.Helper()
	base := hiddenInput.FindAllStringSubmatch(o.get(o.at), -1)
	form := url.Values{"config_why": {"thử"}}
	for _, m := range base {
		if m[1] == "base" {
			form.Set("base", m[2])
		}
	}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	o.sends(o.post(o.at, form))
}

// sends confirms what a page shows as a change.
func (o *configurer) sends(page string) {
	o.t.Helper()
	form := url.Values{"step": {"save"}, "config_why": {regexp.MustCompile(`name="config_why"[^>]* value="([^"]*)"`).FindStringSubmatch(page)[1]}}
	for _, m := range hiddenInput.FindAllStringSubmatch(page, -1) {
		form.Add(m[1], m[2])
	}
	o.post(o.at, form)
}

// smuggle puts into the database what no page lets through: a way out that holds
// people in, as a version of the kiosk's layer and as its document.
func (o *configurer) smuggle(version int) {
	o.t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(o.p.stage.ServerState(), "qrgate.db")+"?_pragma=busy_timeout(20000)")
	if err != nil {
		o.t.Fatal(err)
	}
	defer db.Close()
	var was []byte
	if err := db.QueryRow("SELECT body FROM config_documents ORDER BY version DESC LIMIT 1").Scan(&was); err != nil {
		o.t.Fatal(err)
	}
	var d wire.ConfigDoc
	if err := wire.Decode(was, &d); err != nil || len(d.Door.Accept) == 0 || d.Door.Accept[0] != pass.Card {
		o.t.Fatalf("document %+v, %v", d, err)
	}
	d.Door.OnFault = wire.Refuse
	tx, err := db.BeginTx(context.Background(), nil)
	if err != nil {
		o.t.Fatal(err)
	}
	for query, args := range map[string][]any{
		"INSERT INTO config_layers (layer, version, body, why, made_by, made) VALUES (?, ?, ?, '', '', 1)": {
			"kiosk:" + o.p.kiosk.ID, version, `{"door.gate":"B2","door.direction":"out","door.on_fault":"refuse"}`},
		"INSERT INTO config_documents (kiosk_no, version, body, made) SELECT kiosk_no, ?, ?, 1 FROM config_documents WHERE version = ?": {version, wire.Encode(d), version - 1},
		"UPDATE config_state SET revision = revision + 1": nil,
	} {
		if _, err := tx.Exec(query, args...); err != nil {
			o.t.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		o.t.Fatal(err)
	}
}

func fetch(t *testing.T, address string) string {
	t.Helper()
	resp, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
