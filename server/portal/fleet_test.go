package portal_test

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/enrol"
	enroldesk "github.com/qrgate/qrgate/server/enrol/desk"
	"github.com/qrgate/qrgate/server/fleet/orders"
	"github.com/qrgate/qrgate/server/fleet/releases"
	"github.com/qrgate/qrgate/server/ingest"
	"github.com/qrgate/qrgate/server/portal"
	"github.com/qrgate/qrgate/server/portal/carry"
	fleetpages "github.com/qrgate/qrgate/server/portal/fleet"
	"github.com/qrgate/qrgate/server/portal/release"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/enrolment"
	"github.com/qrgate/qrgate/server/store/fleet"
	kept "github.com/qrgate/qrgate/server/store/releases"
	"github.com/qrgate/qrgate/server/vault"
	"github.com/qrgate/qrgate/sync/deliver"
	"github.com/qrgate/qrgate/sync/seal"
	"github.com/qrgate/qrgate/sync/wire"
)

// withKiosks adds all that the pages of kiosks are about.
func withKiosks(t *testing.T, p *portal.Parts, s *store.Store, master vault.Master) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	dir := filepath.Join(t.TempDir(), "keys")
	must(enrol.Init(dir, master, filepath.Join(t.TempDir(), "root.key"), time.Now()))
	keys, err := enrol.Load(dir, master)
	must(err)
	ca, err := keys.CA()
	must(err)
	seals, err := keys.Seals()
	must(err)
	opener, err := seal.NewOpener(seals)
	must(err)
	id, sign, err := keys.Signer(wire.ForReceipt, time.Now())
	must(err)
	orderID, orderKey, err := keys.Signer(wire.ForOrder, time.Now())
	must(err)
	rows := enrolment.New(s, time.Now)
	p.Enrolment = &portal.Enrolment{Rows: rows, Cut: func(...string) {}, Desk: enroldesk.New(enroldesk.Parts{
		Enrolments: rows, Kiosks: s, Keys: keys, CA: ca, Opener: opener, Sign: wire.Signer{ID: id, Key: sign},
		Tokens: p.Key("enrolment tokens"), Portal: "https://qr.example.vn", Broker: "tls://qr.example.vn:8883", BrokerName: "qr.example.vn",
	}, enroldesk.Options{})}
	p.Orders = orders.New(s, silence{}, wire.Signer{ID: orderID, Key: orderKey}, orders.Options{Portal: "https://qr.example.vn"})
	p.Releases = &release.Options{Site: releases.NewSite(t.TempDir(), releases.OnlineKey(p.Key(releases.OnlinePurpose)), time.Now), Kept: kept.New(s, time.Now)}
	p.Fleet = &fleetpages.Options{Fleet: fleet.New(s, time.Now), Tabs: []fleetpages.Tab{{Path: "cau-hinh", Key: "fleet.tab.config"}}}
	p.Carry = nobodyCarries{}
}

// A silence is a link over which nothing comes and that loses everything.
type silence struct{}

var _ deliver.Link = silence{}

func (silence) Publish(context.Context, string, []byte, bool) error { return nil }

func (silence) Subscribe(context.Context, string, func(string, []byte)) error { return nil }

// nobodyCarries takes no bundle for one.
type nobodyCarries struct{}

func (nobodyCarries) Carry(_ context.Context, r io.Reader) (ingest.Carried, error) {
	_, err := io.Copy(io.Discard, r)
	return ingest.Carried{}, errors.Join(wire.ErrMalformed, err)
}

func (nobodyCarries) Owed(context.Context, string) ([][]byte, error) { return nil, nil }

func (nobodyCarries) Beside(string) (carry.Beside, error) { return carry.Beside{}, nil }
