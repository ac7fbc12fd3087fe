package main

import (
	"math"
	"testing"

	"github.com/qrgate/qrgate/hw/board"
	"github.com/qrgate/qrgate/hw/camera"
	"github.com/qrgate/qrgate/hw/scan"
	"github.com/qrgate/qrgate/sync/wire"
)

func TestBlindCameraIsAFaultInTheBeat(t *testing.T) {
	for _, tt := range []struct {
		h    scan.Health
		want string
	}{
		{scan.Health{Source: "camera:1", Present: true}, ""},
		{scan.Health{Source: "camera:1", Present: true, Blind: camera.Black}, "black"},
		{scan.Health{Source: "camera:1", Present: true, Blind: camera.Frozen}, "frozen"},
		{scan.Health{Source: "camera:1", Present: true, Silent: true, Blind: camera.Dark}, "silent"},
		{scan.Health{Source: "camera:1"}, "absent"},
	} {
		var b wire.Beat
		fillBeat(&b, board.Health{}, []scan.Health{tt.h}, 0)
		if len(b.Scanners) != 1 || b.Scanners[0].Fault != tt.want || b.Scanners[0].Name != "camera:1" {
			t.Errorf("beat of %+v has scanners %+v, want fault %q", tt.h, b.Scanners, tt.want)
		}
	}
}

func TestHintsThatACameraGaveAreInTheBeat(t *testing.T) {
	h := scan.Health{Source: "camera:1", Present: true, Hints: map[string]uint64{"closer": 3, "hold-still": 1 << 40, "tilt": 2, "light": 1}}
	var b wire.Beat
	fillBeat(&b, board.Health{}, []scan.Health{h, {Source: "serial"}}, 0)
	want := wire.HintBeat{Closer: 3, HoldStill: math.MaxUint32, Tilt: 2, Light: 1}
	if b.Scanners[0].Hints != want || b.Scanners[1].Hints != (wire.HintBeat{}) {
		t.Errorf("beat has scanners %+v, want hints %+v of the first", b.Scanners, want)
	}
}
