package room_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/device/room"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/quota"
	"github.com/qrgate/qrgate/sync/wire"
)

// A door tells that the place is nearly full, by the share that is configured, and that
// it is full; cut off it tells the bounds.
func TestNearlyFull(t *testing.T) {
	d := newDoor(t, t.TempDir())
	defer func() { d.Close() }()
	day := (d.now.Unix() + 7*60*60) / (24 * 60 * 60)
	in := room.Scan{Kind: pass.Card, Dir: wire.In, Sure: true}
	d.show(room.Scan{Kind: pass.Card, Dir: wire.Out, Sure: true}) // the period begins
	grant := func(g quota.Grant) {
		if err := d.Answer([]wire.GrantAnswer{{Period: day, Grant: g}}, d.now); err != nil {
			t.Fatal(err)
		}
	}
	if _, known := d.Crowd(d.now, true, 80); known {
		t.Error("how full it is is known before the server has told")
	}
	grant(quota.Grant{Granted: 2, Inside: 8, Limit: 10})
	for _, want := range []room.Crowd{
		{Least: 7, Most: 7, Limit: 10}, {Least: 8, Most: 8, Limit: 10, Near: true}, {Least: 9, Most: 9, Limit: 10, Near: true}, {Least: 10, Most: 10, Limit: 10, Full: true},
	} {
		if got, known := d.Crowd(d.now, true, 80); !known || !cmp.Equal(got, want) {
			t.Errorf("Crowd = %+v, %t, want %+v", got, known, want)
		}
		d.show(in)
	}
	d.want("one too many", in, wire.ReasonFull)
	if got, _ := d.Crowd(d.now, false, 80); got.Least != 0 || got.Most != 10 || !got.Full {
		t.Errorf("cut off: %+v", got)
	}
	// The limit of a new day is known when the server has told of it.
	if got, known := d.Crowd(d.now.Add(24*time.Hour), true, 80); known && got.Full {
		t.Errorf("the next day: %+v", got)
	}
}
