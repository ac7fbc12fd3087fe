package qrgate_test

import (
	"slices"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
)

func TestSectorsFollowEachOther(t *testing.T) {
	letter := time.Date(2021, 1, 27, 12, 0, 0, 0, qrgate.Zone)
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, qrgate.Zone)
	for _, s := range qrgate.Sectors() {
		end, err := qrgate.SectorNow(s.ID, now)
		if err != nil || !end.Until.IsZero() {
			t.Errorf("SectorNow(%s) = %+v, %v; want one that exists", s.ID, end, err)
		}
		if s.Successor != "" && s.Until.IsZero() {
			t.Errorf("%s goes on and has a successor", s.ID)
		}
	}
	for _, tt := range []struct {
		at   time.Time
		want string
	}{{letter, "transport"}, {now, "construction"}} {
		if got, err := qrgate.SectorNow("transport", tt.at); err != nil || got.ID != tt.want {
			t.Errorf("SectorNow(transport, %s) = %s, %v, want %s", tt.at, got.ID, err, tt.want)
		}
	}
	if got := qrgate.SectorIDs("construction", now); !slices.Equal(got, []string{"transport", "construction"}) {
		t.Errorf("SectorIDs(construction) = %v", got)
	}
	if slices.ContainsFunc(qrgate.SectorsOn(now), func(s qrgate.Sector) bool { return s.ID == "district" }) {
		t.Error("district offices still exist in 2026")
	}
	for _, k := range qrgate.PlaceKinds() {
		s, err := qrgate.FindSector(k.Sector)
		if err != nil || !s.Until.IsZero() || k.Name == "" || k.English == "" {
			t.Errorf("kind %+v: sector %+v, %v", k, s, err)
		}
	}
}

func TestGrants(t *testing.T) {
	for _, r := range qrgate.Roles() {
		bad := qrgate.Grant{Role: r, Scope: qrgate.Scope{Kind: qrgate.InSector}}
		if bad.Check() == nil {
			t.Errorf("%v passes without a sector", bad)
		}
	}
	for _, tt := range []struct {
		g  qrgate.Grant
		ok bool
	}{
		{qrgate.Grant{qrgate.Owner, qrgate.Scope{qrgate.InOrganisation, "a"}}, true},
		{qrgate.Grant{qrgate.Owner, qrgate.All}, false},
		{qrgate.Grant{qrgate.Administrator, qrgate.All}, true},
		{qrgate.Grant{qrgate.Administrator, qrgate.Scope{qrgate.InSector, "health"}}, false},
		{qrgate.Grant{"king", qrgate.All}, false},
	} {
		if err := tt.g.Check(); (err == nil) != tt.ok {
			t.Errorf("%+v.Check() = %v, want ok %v", tt.g, err, tt.ok)
		}
		if s, err := qrgate.ParseScope(tt.g.Scope.String()); err != nil || s != tt.g.Scope {
			t.Errorf("ParseScope(%q) = %v, %v", tt.g.Scope, s, err)
		}
	}
	for _, text := range []string{"", "all:", "sector", "sector:", "sun:1"} {
		if s, err := qrgate.ParseScope(text); err == nil {
			t.Errorf("ParseScope(%q) = %v", text, s)
		}
	}
}
