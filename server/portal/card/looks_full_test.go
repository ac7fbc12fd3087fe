//go:build full

package card_test

import (
	"net/url"
	"testing"

	"github.com/qrgate/qrgate/server/portal/pagetest"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/issuing"
	"github.com/qrgate/qrgate/sync/wire"
)

func TestLooks(t *testing.T) {
	w := newWorld(t)
	w.account("admin", qrgate.Grant{Role: qrgate.Administrator, Scope: qrgate.All})
	if err := w.quotas.Kept.Raise(t.Context(), w.ids["admin"], wire.ForCard, issuing.Limits{Batch: 4000, Day: 123456}); err != nil {
		t.Fatal(err)
	}
	if status, _ := w.as("admin").post("/the/han-muc", url.Values{"purpose": {string(wire.ForEvent)}, "quota.batch_event": {"5"}, "quota.day_event": {""}}); status != 422 {
		t.Errorf("a quota below the usual = %d", status)
	}
	shown := pagetest.World{URL: w.url}
	shown.Looks(t, nil, pagetest.Look{"quota", "admin", "/the/han-muc"})
}
