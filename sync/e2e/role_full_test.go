//go:build full

package e2e_test

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/sync/e2e/pgtest"
	"github.com/qrgate/qrgate/sync/e2e/stage"
	"github.com/qrgate/qrgate/sync/pass"
)

var batchOf = regexp.MustCompile(`/the/dot/[a-z2-7]{26}`)

// A server that is three processes on PostgreSQL: the portal has no key of cards and
// cannot sign, waits for whoever can, goes on when that one was killed and came back,
// and no card has two texts; over the quota nothing is signed until it is raised.
func TestServerOfThreeRoles(t *testing.T) {
	t.Parallel()
	programs, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	log := new(log)
	s, err := stage.New(t.Context(), t.TempDir(), programs, stage.Options{Log: log, Store: pgtest.DSN(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil && !t.Failed() {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the programs said at last:\n%s", log.tail(60))
		}
	})
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	quota := "[issue]\nbatch = 50\nday = 60\n"
	issuer, err := s.NewPart("server-3", fmt.Sprintf("%skeys = %q\nmaster = %q\n", quota, filepath.Join(s.Dir, "issue"), filepath.Join(s.Dir, "issue.key")), false)
	must(err)
	_, err = issuer.Command(t.Context(), "issue", "split")
	must(err)
	ingest, err := s.NewPart("server-1", quota, true)
	must(err)
	portal, err := s.NewPart("server-2", quota, false)
	must(err)
	_, err = ingest.Start(t.Context(), "ingest", false)
	must(err)
	_, err = portal.Start(t.Context(), "portal", true)
	must(err)
	s.Portal = portal.Portal
	clerk := newClerk(t, s)

	// The portal's keys do not sign: neither as a role of its process nor by hand.
	both, err := portal.Start(t.Context(), "portal,issue", false)
	must(err)
	if err := both.Wait(); err == nil {
		t.Error("a process without the key of cards signs them")
	}
	if text, err := portal.Command(t.Context(), "card", "-number", "77"); err == nil {
		t.Errorf("a card is signed without its key: %s", text)
	}
	tests := func(n int) string {
		return batchOf.FindString(clerk.post("/the/kiem-tra", url.Values{"card.tests": {fmt.Sprint(n)}, "card.days": {"30"}}))
	}
	begin := func(batch string) string {
		r, err := clerk.PostForm(clerk.base+batch+"/in", url.Values{"card.layout": {"large"}, "card.names": {"none"}})
		clerk.answer(r, err)
		return jobOf.FindString(r.Request.URL.Path)
	}
	texts := func(pdf []byte, as string) []string {
		var read []string
		for _, text := range decode(t, programs.Kiosk, bands(t, raster(t, pdf, filepath.Join(t.TempDir(), as)))) {
			// Where bands overlap a card is read twice; another text of it stays another.
			if c, err := pass.Parse(text); err == nil && c.Kind.Own() && !slices.Contains(read, text) {
				read = append(read, text)
			}
		}
		return read
	}
	p := &play{T: t, ctx: t.Context(), stage: s}
	batch := tests(10)
	job := begin(batch)
	p.until("the page says that it waits for signatures", func() bool {
		_, after, _ := strings.Cut(clerk.get(job), "data-signing")
		return strings.HasPrefix(after, ">")
	})
	signing, err := issuer.Start(t.Context(), "issue", false)
	must(err)
	signing.Kill() // at whatever it was
	if _, err := os.Stat(filepath.Join(s.Dir, "issue", "card-1.key")); err != nil {
		t.Error(err)
	}
	_, err = issuer.Start(t.Context(), "issue", false)
	must(err)
	p.until("the cards are printed", func() bool { return strings.Contains(clerk.get(job), job+"/the.pdf") })
	first := texts([]byte(clerk.get(job+"/the.pdf")), "first")
	if len(first) != 10 {
		t.Errorf("%d cards are read, want 10", len(first))
	}
	if diff := cmp.Diff(first, texts(clerk.print(batch, "large"), "again")); diff != "" {
		t.Error("printed again the cards have other texts")
	}

	refused := func(batch, words string) {
		t.Helper()
		job := begin(batch)
		p.until("the page says that the quota is used up", func() bool { return strings.Contains(clerk.get(job), words) })
	}
	refused(tests(51), "hạn mức một đợt")
	clerk.print(tests(50), "single")
	late := tests(1)
	refused(late, "Hôm nay đã hết hạn mức")
	admin := signIn(t, s, "quan.tri", "-role", "administrator")
	admin.confirm("/the/han-muc")
	admin.post("/the/han-muc", url.Values{"purpose": {"card"}, "quota.batch_card": {"50"}, "quota.day_card": {"61"}})
	clerk.print(late, "single")
	if page := admin.get("/the/han-muc"); !strings.Contains(page, "Hôm nay đã ký 61 trên 61") {
		t.Errorf("page of quotas:\n%.3000s", page)
	}
}
