package main

import (
	"testing"

	"github.com/qrgate/qrgate/hw/camera"
	"github.com/qrgate/qrgate/hw/scan"
)

func TestADoorIsBlindWhenNoScannerCanRead(t *testing.T) {
	gone, silent, there := scan.Health{}, scan.Health{Present: true, Silent: true}, scan.Health{Present: true}
	dark, hangs, babbles := scan.Health{Present: true, Blind: camera.Dark}, scan.Health{Present: true, Stuck: true}, scan.Health{Present: true, Babbling: true}
	for _, tt := range []struct {
		all  []scan.Health
		want bool
	}{
		{nil, true}, {[]scan.Health{gone}, false}, {[]scan.Health{silent}, false}, {[]scan.Health{gone, silent}, false}, {[]scan.Health{gone, there}, true},
		{[]scan.Health{dark}, false}, {[]scan.Health{hangs}, false}, {[]scan.Health{babbles}, false}, {[]scan.Health{dark, hangs, there}, true},
		{[]scan.Health{{Source: "camera:1", Present: true, Stuck: true}}, true},
	} {
		if got := canRead(tt.all); got != tt.want {
			t.Errorf("canRead(%+v) = %v, want %v", tt.all, got, tt.want)
		}
	}
}
