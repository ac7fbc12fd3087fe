package api_test

import (
	"testing"

	"github.com/qrgate/qrgate/server/api"
	"github.com/qrgate/qrgate/server/ingest"
	"github.com/qrgate/qrgate/server/signin"
)

// Whatever is sent as a check-in is answered as the contract says, and never with
// a fault of ours.
func FuzzCheckin(f *testing.F) {
	c := newClient(f, func(o *api.Options) {
		o.Desk = desk{ingest.ErrTooLate}
		o.Limits = signin.LimitOptions{Account: signin.Rate{Burst: 1 << 30, Every: 1}, Network: signin.Rate{Burst: 1 << 30, Every: 1}}
	})
	c.Place("Chợ")
	f.Fuzz(func(t *testing.T, body string) {
		c.t = t
		if resp, v := c.send(body); resp.StatusCode >= 500 || resp.StatusCode < 400 {
			t.Errorf("%q = %d %v", body, resp.StatusCode, v)
		}
	})
}
