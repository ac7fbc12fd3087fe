package movement_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/movement"
)

// busy returns a day with figures of every kind.
func busy(t testing.TB) *movement.Day {
	t.Helper()
	r := rand.New(rand.NewPCG(6, 6))
	d, err := movement.Count(t.Context(), random(r, 600, 4), day, ever, movement.Options{Places: places()})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestEncode(t *testing.T) {
	d := busy(t)
	got := movement.Day{Day: d.Day, Crowds: d.Crowds}
	if err := got.Decode(d.Encode()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(*d, got); diff != "" {
		t.Errorf("Decode(Encode()) (-want +got)\n%s", diff)
	}
	for _, want := range d.Crowds {
		got := movement.Crowd{Place: want.Place}
		if err := got.Decode(want.Encode()); err != nil || got != want {
			t.Errorf("Decode(Encode()) = %+v, %v, want %+v", got, err, want)
		}
	}
	body := d.Encode()
	for _, bad := range [][]byte{nil, {2}, body[:len(body)-1], append(bytes.Clone(body), 0)} {
		if err := new(movement.Day).Decode(bad); err == nil {
			t.Errorf("Decode of %d bytes, of which %d are right, passes", len(bad), len(body))
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(busy(f).Encode())
	f.Add([]byte{1, 0, 0, 0, 1, 1, 'a', 1, 0, 1, 1, 29, 10, 0})
	f.Fuzz(func(t *testing.T, body []byte) {
		var d movement.Day
		if d.Decode(body) != nil {
			return
		}
		var again movement.Day
		if err := again.Decode(d.Encode()); err != nil {
			t.Fatalf("Decode(Encode()) = %v", err)
		}
		if diff := cmp.Diff(d, again); diff != "" {
			t.Errorf("Decode(Encode()) (-want +got)\n%s", diff)
		}
	})
}

func FuzzCrowd(f *testing.F) {
	f.Add(make([]byte, movement.Quarters))
	f.Fuzz(func(t *testing.T, body []byte) {
		var c movement.Crowd
		if c.Decode(body) == nil && !bytes.Equal(c.Encode(), body) {
			t.Errorf("Encode(Decode(%x)) = %x", body, c.Encode())
		}
	})
}
