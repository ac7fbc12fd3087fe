package main

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/hw/camera"
	"github.com/qrgate/qrgate/hw/camera/v4l2"
	"github.com/qrgate/qrgate/sync/wire"
)

func reference(t testing.TB) string {
	t.Helper()
	b, err := os.ReadFile("reference.toml")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestReferenceParses(t *testing.T) {
	c, err := parseConfig(reference(t))
	if err != nil {
		t.Fatal(err)
	}
	if c.sources() != 5 || c.Door.Place != "Chợ Đông Ba" || c.ServerName != "qr.example.vn" {
		t.Errorf("reference.toml gives %d sources at %q, server %q", c.sources(), c.Door.Place, c.ServerName)
	}
}

func TestBadConfigurationSaysWhat(t *testing.T) {
	for _, tt := range []struct{ old, new, want string }{
		{`reset = "3s"`, `resett = "3s"`, "unknown key door.resett"},
		{`level = "info"`, `level = "loud"`, "log.level"},
		{`url = "tls://qr.example.vn:8883"`, `url = "http://qr.example.vn"`, "server.url"},
		{`direction = "in"`, `direction = "up"`, "direction"},
		{`accept = ["card"`, `accept = ["passport"`, "passport"},
		{`stale_list = "admit"`, `stale_list = "ask"`, "stale_list: must be"},
		{`stale_list = "admit"`, `stale_list = "refuse"`, "stale_list: a place that admits whom it cannot record"},
		{`limit_mib = 1024`, `limit_mib = 1`, "outbox.limit_mib"},
		{`device = "auto"      # a path`, `device = "COM3" # a path`, "serial"},
		{`kind = "files"`, `kind = "film"`, "camera 3: kind"},
		{`path = "/var/lib/qrgate/frames"`, `path = ""`, "camera 3: files: needs a path"},
		{`rate = 10.0 `, `rate = 100.0 `, "camera 3: files"},
		{`rate = 10.0 `, `device = "auto" `, "camera 3: key device is not for kind \"files\""},
		{`device = "auto"   # a path, best in /dev/v4l`, `device = "video0"   # /dev/v4l`, "camera 1: v4l2: device"},
		{`rate = 30.0`, `rate = 3000.0`, "camera 1: v4l2: rate"},
		{`mains = 50`, `mains = 55`, "camera 1: v4l2: mains"},
		{`width = 640       #`, `widht = 640       #`, "unknown key camera.widht"},
		{`kind = "command"`, `kind = "v4l2"`, "camera 2: key command is not for kind"},
		{`kind = "command"`, "kind = \"command\"\nmains = 0", "camera 2: key mains is not for kind"},
		{`format = "mjpeg"  #`, `format = "h264"  #`, "camera 2: camera: format"},
		{`format = "mjpeg"  #`, `format = "yuv420"  #`, "camera 2: camera: yuv420 of 0x0"},
		{`[[camera]]  # the camera`, "[[camera]]\nkind = \"v4l2\"\n[[camera]]  # the camera", `camera 2: device "auto" is another camera's already`},
		{`kind = "gpio"`, `kind = "neon"`, "panel.kind"},
		{`listen = ""  `, `listen = "0.0.0.0:80"  `, "screen.listen: screen: listen: 0.0.0.0 is not this machine alone"},
		{`listen = ""  `, `listen = "8088"  `, "screen.listen"},
		{`explain = "6s"`, `explain = "5m"`, "screen.explain"},
		{`command = ["aplay", "-q", "-"]`, `command = []`, "sound.command"},
		{`volume = 80`, `volume = 101`, "sound.volume"},
		{`quiet = ""  `, `quiet = "22-6"  `, "sound.quiet"},
		{`in_quiet = "tone"`, `in_quiet = "whisper"`, "sound.in_quiet"},
		{`recordings = ""`, `recordings = "voices"`, "sound.recordings"},
		{`state = "/var/lib/qrgate" `, `state = "here" `, "absolute"},
	} {
		text := strings.Replace(reference(t), tt.old, tt.new, 1)
		if text == reference(t) {
			t.Fatalf("reference.toml has no %q", tt.old)
		}
		if _, err := parseConfig(text); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("with %s: error %v, want one that names %s", tt.new, err, tt.want)
		}
	}
}

func TestStaleListIsReadAsWritten(t *testing.T) {
	text := strings.NewReplacer(`on_fault = "admit_unrecorded"`, `on_fault = "refuse"`, `stale_list = "admit"`, `stale_list = "refuse"`).Replace(reference(t))
	c, err := parseConfig(text)
	if err != nil || c.Door.StaleList != wire.RefuseStale || c.Door.StaleAfter != 14*24*time.Hour {
		t.Errorf("stale_list %q after %s, %v", c.Door.StaleList, c.Door.StaleAfter, err)
	}
	c, err = parseConfig(strings.Replace(text, "stale_days = 14", "stale_days = 367", 1))
	if err == nil || !strings.Contains(err.Error(), "stale after 1 to 366 days") {
		t.Errorf("stale after %s: %v", c.Door.StaleAfter, err)
	}
}

func TestCamerasAreReadAsWritten(t *testing.T) {
	c, err := parseConfig(reference(t))
	if err != nil {
		t.Fatal(err)
	}
	want := []cameraConfig{
		{device: &v4l2.Config{Device: "auto", Width: 640, Height: 480, Rate: 30, Mains: 50}},
		{program: &camera.Program{Format: camera.MJPEG, Args: []string{
			"rpicam-vid", "-n", "-t", "0", "-v", "0", "--width", "640", "--height", "480", "--codec", "mjpeg", "--flush", "-o", "-",
		}}},
		{files: &filesConfig{"/var/lib/qrgate/frames", 10}},
	}
	if diff := cmp.Diff(want, c.Cameras, cmp.AllowUnexported(cameraConfig{}, filesConfig{})); diff != "" {
		t.Errorf("cameras of reference.toml: -want +got\n%s", diff)
	}
	// The defaults are those that reference.toml shows.
	text := reference(t)
	for _, line := range strings.SplitAfter(text, "\n") {
		if key, _, _ := strings.Cut(line, " "); slices.Contains([]string{"device", "format", "exposure", "mains"}, key) &&
			strings.Index(text, line) > strings.Index(text, "[[camera]]") {
			text = strings.Replace(text, line, "", 1)
		}
	}
	if c, err = parseConfig(text); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, c.Cameras, cmp.AllowUnexported(cameraConfig{}, filesConfig{})); diff != "" {
		t.Errorf("without keys that have a default: -want +got\n%s", diff)
	}
}

func TestEgressDoorWiredToHoldPeopleIn(t *testing.T) {
	text := strings.NewReplacer(`direction = "in" `, `direction = "out" `, "energise_to_open = false", "energise_to_open = true").Replace(reference(t))
	if _, err := parseConfig(text); err == nil || !strings.Contains(err.Error(), "energises to lock") {
		t.Errorf("exit lane whose relay energises to open: error %v, want a refusal", err)
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add(reference(f))
	f.Add("[door]\nrepeat = \"-1s\"\n[[serial]]\n")
	f.Fuzz(func(t *testing.T, text string) {
		if c, err := parseConfig(text); err == nil && c.Door.Validate() != nil {
			t.Error("parseConfig let an invalid door through")
		}
	})
}
