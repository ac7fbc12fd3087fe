package register_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/register"
)

func TestAuditRows(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		for _, a := range []struct{ by, action, object string }{
			{"boss", "give role", "lan"}, {"lan", "sign in", "lan"}, {"boss", "sign in", "boss"}, {"minh", "add token", "token 1"}, {"", "add kiosk", "cho-dong-ba-1"},
		} {
			w.pass(24 * time.Hour)
			if err := w.Looked(ctx, a.by, a.action, a.object); err != nil {
				t.Fatal(err)
			}
		}
		today := qrgate.DayOf(w.time())
		for _, tt := range []struct {
			name       string
			q          register.AuditQuery
			skip, most int
			want       []string
			all        int
		}{
			{"all", register.AuditQuery{}, 0, 10, []string{"add kiosk", "add token", "sign in", "sign in", "give role"}, 5},
			{"page", register.AuditQuery{}, 1, 2, []string{"add token", "sign in"}, 5},
			{"action", register.AuditQuery{Action: "sign in"}, 0, 10, []string{"sign in", "sign in"}, 2},
			{"object", register.AuditQuery{Object: "lan"}, 0, 10, []string{"sign in", "give role"}, 2},
			{"actor", register.AuditQuery{Actor: "boss"}, 0, 10, []string{"sign in", "give role"}, 2},
			{"days", register.AuditQuery{From: (today - 1).Start(), To: today.Start()}, 0, 10, []string{"add token"}, 1},
			{"own", register.AuditQuery{Own: "boss", Settings: []string{"add token"}}, 0, 10, []string{"add token", "sign in", "give role"}, 3},
			{"own without settings", register.AuditQuery{Own: "boss"}, 0, 10, []string{"sign in", "give role"}, 2},
			{"hostile", register.AuditQuery{Object: "' OR 1=1 --"}, 0, 10, nil, 0},
		} {
			var got []string
			err := w.Audit(ctx, tt.q, tt.skip, tt.most, func(a register.AuditRow) error { got = append(got, a.Action); return nil })
			if d := cmp.Diff(tt.want, got); d != "" || err != nil {
				t.Errorf("%s: (-want +got):\n%s%v", tt.name, d, err)
			}
			if n, err := w.CountAudit(ctx, tt.q); n != tt.all || err != nil {
				t.Errorf("%s: CountAudit = %d, %v, want %d", tt.name, n, err, tt.all)
			}
		}
		actions, err := w.AuditActions(ctx, register.AuditQuery{})
		if d := cmp.Diff([]string{"add kiosk", "add token", "give role", "sign in"}, actions); d != "" || err != nil {
			t.Errorf("AuditActions (-want +got):\n%s%v", d, err)
		}
	})
}
