package wire_test

import (
	"bytes"
	"crypto/ed25519"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/quota"
	"github.com/qrgate/qrgate/sync/release"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

var update = flag.Bool("update", false, "write golden messages that this version lacks")

// A golden is one message of the first version with every field set.
type golden struct {
	name string
	want any
	seal func() []byte
	open func(b []byte) (any, error)
}

func goldens() []golden {
	kioskKey, serverKey, rootKey := testKey(1), testKey(1), testKey(9)
	find := func(uint32) ed25519.PublicKey { return public(serverKey) }
	batch := typicalBatch(12)
	receipt := &wire.Receipt{V: 1, Kiosk: kiosk, Epoch: wire.Epoch{9}, Generation: 3, Through: 10, Hash: wire.Hash{1}, Safe: 4,
		Ranges: []wire.Range{{From: 12, To: 20}}, Rejects: []wire.Reject{{Seq: 5, Reason: wire.ReasonSeal}}, Time: 1_795_500_000_000}
	kinds := goldenRecords()
	beat := &wire.Beat{V: 1, Nonce: [16]byte{7, 7}, Session: 3<<32 | 2, Release: "1.0.0", Boot: when.Boot{1, 2, 3}, Epoch: wire.Epoch{9},
		Last: 20, Through: 10, Queued: 9, Used: 65_536, Limit: 1 << 30,
		Uptime: 86_400, DiskFree: 8 << 30, Temperature: 54_321, PowerFaults: 1,
		Scanners: []wire.ScannerBeat{{Name: "usb-1", Present: true, LastScan: 1_795_500_000_000, Scans: 812, Bad: 3, Fault: "silent"}},
		Since:    86_400_000, Wall: 1_795_500_000_000, State: when.Holding, Error: 120, Unrecorded: 2}
	answer := &wire.BeatAnswer{V: 1, Kiosk: kiosk, Nonce: [16]byte{7, 7}, Time: 1_795_500_000_000}
	heard, told := *beat, *answer
	heard.List = &wire.ListBeat{Stamp: wire.Stamp{Generation: 3, Version: 7}, Cards: 120, Checked: 1_795_500_000_000, Getting: wire.Stamp{Generation: 3, Version: 9}, Have: []byte{5}}
	told.List = wire.Stamp{Generation: 3, Version: 9}
	healthy := *beat
	behind := int64(-1_250)
	healthy.Oldest, healthy.DiskTotal, healthy.ReadOnly, healthy.Power = 90_000, 32<<30, true, wire.PowerKnown|wire.UnderVoltage|wire.WasUnder
	healthy.Memory, healthy.Available, healthy.Links, healthy.RoundTrip, healthy.Offset = 1<<30, 600<<20, 4, 38_000, &behind
	healthy.Opened, healthy.Moved, healthy.Lost, healthy.Model, healthy.Serial = wire.OpenedMoved, true, 3, "Raspberry Pi 4 Model B Rev 1.4", "5f0c1b7a9d3e4f60"
	healthy.Scanners = []wire.ScannerBeat{{Name: "usb-1", Present: true, Scans: 812, Bad: 90, Fault: "babbling", Share: 40, Unplugs: 2}}
	inside, grants := *beat, *answer
	inside.Room = &wire.RoomBeat{
		Events: []wire.EventBeat{{No: 7, Stamp: wire.Stamp{Generation: 3, Version: 14}}},
		Counts: []wire.CountBeat{{Period: 20_783, Count: quota.Count{Granted: 50, Returned: 5, In: 40, Out: 12}}, {Scope: wire.Scope{Event: 7, Category: 1}, Count: quota.Count{In: 3}}},
	}
	grants.Grants = []wire.GrantAnswer{{Scope: wire.Scope{Event: 7, Category: 1}, Period: 1, Grant: quota.Grant{Granted: 60, Return: 2, Inside: -3, Cut: true, More: 9, Limit: 200}}}
	updating, updated := *beat, *answer
	updating.Update = &wire.UpdateBeat{Stage: wire.UpdateReturned, Version: "1.4.0", Reason: release.Crashed, Loaded: 100, Launcher: "1.2.0", Arch: "arm64"}
	updated.Update = &wire.UpdateAnswer{Version: "1.4.0", URL: "https://qr.example.vn/cap-nhat/", Now: true, Root: wire.Hash{9, 8}}
	configured := *beat
	configured.Config = &wire.ConfigBeat{
		Wanted: wire.Stamp{Generation: 3, Version: 17}, Running: wire.Stamp{Generation: 3, Version: 16},
		Refused: wire.Stamp{Generation: 3, Version: 17}, Fault: wire.ConfigNoAnswer, Detail: "nobody answered",
	}
	hinted := *beat
	hinted.Scanners = []wire.ScannerBeat{{Name: "camera:1", Present: true, Scans: 812, Hints: wire.HintBeat{Closer: 12, HoldStill: 31, Tilt: 4, Light: 1}}}
	leased := *beat
	leased.Lease = &wire.LeaseBeat{Term: 45 * 86_400, Used: 3600, Ended: true, Ends: 2}
	days := uint16(60)
	leasing := aConfigDoc()
	leasing.Lease = wire.LeaseConfig{Days: &days}
	gathering := aGathering()
	gathering.V = wire.Version
	whole := &wire.ListPart{V: 1, Data: []byte{1, 0, 0}, Head: wire.ListHead{Stamp: wire.Stamp{Generation: 3, Version: 9}, Digest: wire.Hash{7}, Alone: true, Parts: 1}}
	change := *whole
	change.Head.From = 8
	keys := &wire.KeyList{V: 1, Stamp: wire.Stamp{Generation: 3, Version: 14}, Keys: []wire.Key{
		{ID: 1, Purpose: wire.ForReceipt, Public: public(serverKey), From: 1_795_000_000_000},
		{ID: 2, Purpose: wire.ForSeal, Public: bytes.Repeat([]byte{7}, 32), From: 1_795_000_000_000, To: 1_798_000_000_000},
		{ID: 3, Purpose: wire.ForCard, Public: public(testKey(3))},
		{ID: 4, Purpose: wire.ForEvent, Public: public(testKey(4))},
		{ID: 5, Purpose: "of a later release", Public: []byte{1}},
	}}
	online := wire.Online{V: 1, Up: true, Session: 3<<32 | 2}
	return []golden{
		{"batch.cbor", batch, func() []byte { return batch.Seal(kioskKey) },
			func(b []byte) (any, error) { return wire.OpenBatch(b, kiosk, public(kioskKey)) }},
		{"records.cbor", kinds, func() []byte { return kinds.Seal(kioskKey) },
			func(b []byte) (any, error) { return wire.OpenBatch(b, kiosk, public(kioskKey)) }},
		{"receipt.cbor", receipt, func() []byte { return receipt.Seal(1, serverKey) },
			func(b []byte) (any, error) { return wire.OpenReceipt(b, kiosk, find) }},
		{"beat.cbor", beat, func() []byte { return wire.Seal(wire.ForBeat, 0, kioskKey, beat) },
			func(b []byte) (any, error) { return wire.OpenBeat(b, public(kioskKey)) }},
		{"beat-answer.cbor", answer, func() []byte { return wire.Seal(wire.ForBeat, 1, serverKey, answer) },
			func(b []byte) (any, error) { return wire.OpenBeatAnswer(b, kiosk, find) }},
		{"beat-health.cbor", &healthy, func() []byte { return wire.Seal(wire.ForBeat, 0, kioskKey, healthy) },
			func(b []byte) (any, error) { return wire.OpenBeat(b, public(kioskKey)) }},
		{"beat-list.cbor", &heard, func() []byte { return wire.Seal(wire.ForBeat, 0, kioskKey, heard) },
			func(b []byte) (any, error) { return wire.OpenBeat(b, public(kioskKey)) }},
		{"beat-answer-list.cbor", &told, func() []byte { return wire.Seal(wire.ForBeat, 1, serverKey, told) },
			func(b []byte) (any, error) { return wire.OpenBeatAnswer(b, kiosk, find) }},
		{"beat-room.cbor", &inside, func() []byte { return wire.Seal(wire.ForBeat, 0, kioskKey, inside) },
			func(b []byte) (any, error) { return wire.OpenBeat(b, public(kioskKey)) }},
		{"beat-answer-grants.cbor", &grants, func() []byte { return wire.Seal(wire.ForBeat, 1, serverKey, grants) },
			func(b []byte) (any, error) { return wire.OpenBeatAnswer(b, kiosk, find) }},
		{"beat-update.cbor", &updating, func() []byte { return wire.Seal(wire.ForBeat, 0, kioskKey, updating) },
			func(b []byte) (any, error) { return wire.OpenBeat(b, public(kioskKey)) }},
		{"beat-answer-update.cbor", &updated, func() []byte { return wire.Seal(wire.ForBeat, 1, serverKey, updated) },
			func(b []byte) (any, error) { return wire.OpenBeatAnswer(b, kiosk, find) }},
		{"beat-config.cbor", &configured, func() []byte { return wire.Seal(wire.ForBeat, 0, kioskKey, configured) },
			func(b []byte) (any, error) { return wire.OpenBeat(b, public(kioskKey)) }},
		{"beat-hints.cbor", &hinted, func() []byte { return wire.Seal(wire.ForBeat, 0, kioskKey, hinted) },
			func(b []byte) (any, error) { return wire.OpenBeat(b, public(kioskKey)) }},
		{"beat-lease.cbor", &leased, func() []byte { return wire.Seal(wire.ForBeat, 0, kioskKey, leased) },
			func(b []byte) (any, error) { return wire.OpenBeat(b, public(kioskKey)) }},
		{"config-lease.cbor", leasing, func() []byte { return wire.Seal(wire.ForConfig, 1, serverKey, leasing) },
			func(b []byte) (any, error) { return wire.OpenConfig(b, kiosk, find) }},
		{"config.cbor", aConfigDoc(), func() []byte { return wire.Seal(wire.ForConfig, 1, serverKey, aConfigDoc()) },
			func(b []byte) (any, error) { return wire.OpenConfig(b, kiosk, find) }},
		{"event.cbor", gathering, func() []byte { return wire.SealEvent(gathering, 1, serverKey) },
			func(b []byte) (any, error) { return wire.OpenEvent(b, find) }},
		{"list.cbor", whole, func() []byte { return sealList(whole) }, func(b []byte) (any, error) { return wire.OpenListPart(b, find) }},
		{"list-change.cbor", &change, func() []byte { return sealList(&change) }, func(b []byte) (any, error) { return wire.OpenListPart(b, find) }},
		{"keys.cbor", keys, func() []byte { return wire.Seal(wire.ForKeys, 0, rootKey, keys) },
			func(b []byte) (any, error) { return wire.OpenKeyList(b, public(rootKey)) }},
		{"online.cbor", online, func() []byte { return wire.Encode(online) },
			func(b []byte) (any, error) { return wire.DecodeOnline(b) }},
	}
}

func sealList(p *wire.ListPart) []byte {
	parts, _ := wire.SealList(1, testKey(1), p.Head, p.Data)
	return parts[0]
}

// goldenRecords is a batch of one record of each kind: the first of an epoch, an
// anchor, a check-in and one that was carried over.
func goldenRecords() *wire.Batch {
	at := when.Reading{Boot: when.Boot{1, 2, 3}, Since: 60_000, Wall: 1_795_500_000_000, State: when.Synced, Error: 7}
	opened := wire.Header{Seq: 1, Kind: wire.KindOpened, Opened: &wire.Opened{By: wire.OpenedSalvage, Previous: &wire.Epoch{8}, Last: 77, Carried: 1, Lost: 3}}
	anchor := wire.Header{Seq: 2, Kind: wire.KindAnchor, Anchor: &wire.Anchor{Server: 1_795_500_000_123, Error: 9}}
	refused := wire.Header{Seq: 3, Kind: wire.KindCheckin, Gate: "A1", Lane: 2, Direction: wire.Out, Pass: pass.CCCD,
		Verdict: wire.Refused, Reason: wire.ReasonExpired, Presence: wire.Typed}
	opened.At(at)
	anchor.At(at)
	refused.At(at)
	carried := typicalRecord(70)
	carried.Origin = &wire.Epoch{8}
	b := &wire.Batch{V: 1, Kiosk: kiosk, Epoch: wire.Epoch{9}, First: 1, Backlog: true, Last: 4, Oldest: 1}
	for _, r := range []wire.Record{wire.NewRecord(opened, wire.Sealed{}), wire.NewRecord(anchor, wire.Sealed{}), wire.NewRecord(refused, wire.Sealed{}), carried} {
		b.Records = append(b.Records, wire.Encode(r))
	}
	return b
}

// TestGolden opens the messages of every released version. A file that is there
// is never written again.
func TestGolden(t *testing.T) {
	dir := filepath.Join("..", "..", "testdata", "wire", "v1")
	for _, g := range goldens() {
		t.Run(g.name, func(t *testing.T) {
			path := filepath.Join(dir, g.name)
			if _, err := os.Stat(path); err != nil && *update {
				if err := os.WriteFile(path, g.seal(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got, err := g.open(b)
			if err != nil {
				t.Fatalf("golden v1 does not open: %v", err)
			}
			if diff := cmp.Diff(g.want, got, cmp.AllowUnexported(wire.Range{}, wire.Reject{}), records); diff != "" {
				t.Errorf("golden v1 (-want +got):\n%s", diff)
			}
		})
	}
}

var records = cmp.FilterPath(func(p cmp.Path) bool {
	return p.Last().Type() == reflect.TypeFor[cbor.RawMessage]()
}, cmp.Comparer(sameRecord))

// sameRecord compares what two records say, not their bytes: a later version may
// write more.
func sameRecord(a, b cbor.RawMessage) bool {
	x, hx, errX := wire.DecodeRecord(a)
	y, hy, errY := wire.DecodeRecord(b)
	x.Header, y.Header = nil, nil
	return errX == nil && errY == nil && cmp.Equal(x, y) && cmp.Equal(hx, hy)
}
