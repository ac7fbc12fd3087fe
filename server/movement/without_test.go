package movement_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/movement"
	"github.com/qrgate/qrgate/server/qrgate"
)

// Whoever asked that their data is not used is in no figure.
func TestWithout(t *testing.T) {
	var all list
	for i := range 6 {
		all = append(all, qrgate.Checkin{Day: day, Subject: subject(i % 3), Seq: uint64(i)})
	}
	unused := func(_ context.Context, d qrgate.Day) (map[qrgate.Subject]bool, error) {
		return map[qrgate.Subject]bool{subject(1): d == day}, nil
	}
	var got []uint64
	err := movement.Without(all, unused).EachOfDay(t.Context(), day, func(c *qrgate.Checkin) error { got = append(got, c.Seq); return nil })
	if d := cmp.Diff([]uint64{0, 2, 3, 5}, got); d != "" || err != nil {
		t.Errorf("EachOfDay (-want +got), %v:\n%s", err, d)
	}
}
