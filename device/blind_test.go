package main

import (
	"testing"

	"github.com/qrgate/qrgate/hw/scan"
)

func TestADoorIsBlindWhenNoScannerShowsLife(t *testing.T) {
	gone, silent, there := scan.Health{}, scan.Health{Present: true, Silent: true}, scan.Health{Present: true}
	for _, tt := range []struct {
		all  []scan.Health
		want bool
	}{
		{nil, true}, {[]scan.Health{gone}, false}, {[]scan.Health{silent}, false}, {[]scan.Health{gone, silent}, false}, {[]scan.Health{gone, there}, true},
	} {
		if got := canRead(tt.all); got != tt.want {
			t.Errorf("canRead(%+v) = %v, want %v", tt.all, got, tt.want)
		}
	}
}
