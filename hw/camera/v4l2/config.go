package v4l2

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/qrgate/qrgate/hw/camera"
	"github.com/qrgate/qrgate/hw/scan"
)

// Defaults for the zero Config.
const (
	DefaultWidth  = 640
	DefaultHeight = 480
	DefaultRate   = 30
)

// A Config says which camera to read, and how.
type Config struct {
	// Device is the absolute path of a device, best one below /dev/v4l/by-id;
	// or "usb:VID:PID" or "usb:VID:PID:SERIAL" with the numbers in hex; or
	// "auto", the first camera in /dev/v4l/by-id.
	Device string

	// Width and Height are what is wished for; the camera's nearest size is
	// taken. Zero means 640 by 480.
	Width, Height int

	// Rate is the wished frames a second; zero means 30.
	Rate float64

	// Format is one of Formats, or empty for the one that costs least at the
	// size and a fluent rate.
	Format string

	// Exposure is how long each picture is exposed; zero lets the camera
	// decide. A short one sharpens moving cards and needs light.
	Exposure time.Duration

	// Mains is the frequency in hertz of the lamps whose flicker the camera
	// shall filter out: 50, 60 or 0 for what it does by itself.
	Mains int

	// Focus fixes the focus, and Gain the gain, at a value in the camera's own
	// units; zero lets the camera decide. A focus that hunts costs seconds when a
	// hand comes in, and a low gain takes the noise out of a lit entrance.
	Focus, Gain int
}

// Formats returns the names that Config.Format takes.
func Formats() []string {
	var names []string
	for _, l := range layouts {
		names = append(names, l.name)
	}
	return names
}

// Check reports what in c can never work.
func (c Config) Check() error {
	if _, err := parseDevice(c.Device); err != nil {
		return err
	}
	if (c.Width == 0) != (c.Height == 0) {
		return errors.New("v4l2: a width needs a height, and a height a width")
	}
	if c.Width < 0 || c.Height < 0 || c.Height > 0 && c.Width > camera.MaxPixels/c.Height {
		return fmt.Errorf("v4l2: %dx%d is not a size of at most %d pixels", c.Width, c.Height, camera.MaxPixels)
	}
	if c.Rate != 0 && !(c.Rate >= 1 && c.Rate <= 240) {
		return fmt.Errorf("v4l2: rate is %v frames a second, not 1 to 240", c.Rate)
	}
	if c.Format != "" && !slices.Contains(Formats(), c.Format) {
		return fmt.Errorf("v4l2: format %q is none of %s", c.Format, strings.Join(Formats(), ", "))
	}
	if c.Exposure != 0 && (c.Exposure < exposureUnit || c.Exposure > time.Second) {
		return fmt.Errorf("v4l2: exposure is %v, neither 0 nor %v to 1s", c.Exposure, exposureUnit)
	}
	if c.Focus < 0 || c.Focus > math.MaxInt16 || c.Gain < 0 || c.Gain > math.MaxInt16 {
		return fmt.Errorf("v4l2: focus %d and gain %d are not 0 to %d", c.Focus, c.Gain, math.MaxInt16)
	}
	if c.Mains != 0 && c.Mains != 50 && c.Mains != 60 {
		return fmt.Errorf("v4l2: mains is %d Hz, not 50, 60 or 0", c.Mains)
	}
	return nil
}

// A device is how a camera is found: by path, by USB numbers or the first there is.
type device struct {
	path string
	auto bool
	usb  scan.USB
}

func parseDevice(s string) (device, error) {
	if s == "auto" {
		return device{auto: true}, nil
	}
	if filepath.IsAbs(s) {
		return device{path: s}, nil
	}
	usb, err := scan.ParseUSB(s)
	if err != nil {
		return device{}, fmt.Errorf(`v4l2: device %q is neither an absolute path nor "auto": %w`, s, err)
	}
	return device{usb: usb}, nil
}

// find returns the path of the camera's node. A camera may have several: the
// one with index 0 has the pictures.
func (d device) find(root string) (string, error) {
	switch {
	case d.path != "":
		return d.path, nil
	case d.auto:
		dir := filepath.Join(root, "dev/v4l/by-id")
		links, _ := os.ReadDir(dir) // sorted by name; no folder before the first camera
		for _, l := range links {
			if strings.HasSuffix(l.Name(), "-video-index0") {
				return filepath.Join(dir, l.Name()), nil
			}
		}
		return "", errors.New("v4l2: no camera in /dev/v4l/by-id")
	}
	class := filepath.Join(root, "sys/class/video4linux")
	nodes, _ := os.ReadDir(class)
	for _, n := range nodes {
		dir, err := filepath.EvalSymlinks(filepath.Join(class, n.Name(), "device"))
		if err == nil && scan.Attribute(filepath.Join(class, n.Name()), "index") == "0" && d.usb.Owns(dir) {
			return filepath.Join(root, "dev", n.Name()), nil
		}
	}
	return "", fmt.Errorf("v4l2: no camera %s", d.usb)
}
