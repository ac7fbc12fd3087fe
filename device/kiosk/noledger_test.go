package kiosk_test

import (
	"slices"
	"testing"

	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

// A door whose disk fails records nobody: it lets in on amber or turns away, as the place
// has chosen, judges what it can, and goes on.
func TestADoorWithoutALedger(t *testing.T) {
	for _, tt := range []struct {
		fault wire.OnFault
		want  []string
	}{
		{wire.AdmitUnrecorded, []string{"amber", "amber", "refused"}},
		{wire.Refuse, []string{"fault", "fault", "fault", "refused"}}, // the first stands
	} {
		t.Run(string(tt.fault), func(t *testing.T) {
			s := newSite(t, 0)
			s.door.Queue, s.door.Sealer, s.door.Config.OnFault = nil, nil, tt.fault
			an := s.sign(t, pass.Card, 1, today, today.AddDate(1, 0, 0))
			got := s.serve(t, an, an, "nothing of ours")
			got = slices.DeleteFunc(got, func(s string) bool { return s == "reading" })
			if !slices.Equal(got, tt.want) {
				t.Errorf("answers = %q, want %q", got, tt.want)
			}
		})
	}
}
