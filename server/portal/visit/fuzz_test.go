package visit_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/qrgate/qrgate/server/ingest"
	"github.com/qrgate/qrgate/server/portal/visit"
	"github.com/qrgate/qrgate/server/signin"
)

// Whatever is sent as a visit has an answer of the sender's making, and none is a
// fault of ours.
func FuzzMessage(f *testing.F) {
	s := newSite(f, func(o *visit.Options) {
		o.Desk = desk{ingest.ErrTooLate}
		o.Limits = signin.LimitOptions{Account: signin.Rate{Burst: 1 << 30, Every: 1}, Network: signin.Rate{Burst: 1 << 30, Every: 1}}
	})
	f.Fuzz(func(t *testing.T, body, code, token string) {
		s.t = t
		resp, answer := s.ask("POST", "/p/"+s.code+"/gui", strings.NewReader(body), "Content-Type", "application/json")
		if resp.StatusCode >= 500 || !strings.HasPrefix(answer, `{"problem":`) {
			t.Errorf("%q = %d %s", body, resp.StatusCode, answer)
		}
		for _, q := range []struct{ key, value string }{{"/p?ma=", code}, {"/p/" + s.code + "/xong?x=", token}} {
			if resp, _ := s.get(q.key + url.QueryEscape(q.value)); resp.StatusCode >= 500 {
				t.Errorf("%s%q = %d", q.key, q.value, resp.StatusCode)
			}
		}
	})
}
