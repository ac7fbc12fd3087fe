//go:build full && linux

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/hw/camera"
	"github.com/qrgate/qrgate/hw/qrread"
)

// The boards' processors round and convert numbers in their own ways; what is
// read must be the same.
func TestSameAnswersOnARM(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join("..", "testdata", "qr", "*.jpg"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no committed frames: %v", err)
	}
	want := make(map[string][]string)
	r := qrread.New(qrread.Options{Deadline: time.Hour})
	for _, path := range paths {
		img, err := camera.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		want[path] = []string{}
		for _, c := range r.Read(img) {
			want[path] = append(want[path], c.Text)
		}
	}
	for _, board := range []struct{ qemu, arch, arm string }{
		{"qemu-aarch64", "arm64", ""}, {"qemu-arm", "arm", "7"}, {"qemu-arm", "arm", "6"},
	} {
		t.Run(board.arch+board.arm, func(t *testing.T) {
			qemu, err := exec.LookPath(board.qemu)
			if err != nil {
				t.Fatalf("%s is missing: apt-get install qemu-user", board.qemu)
			}
			kiosk := filepath.Join(t.TempDir(), "kiosk")
			build := exec.Command("go", "build", "-o", kiosk, ".")
			build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+board.arch, "GOARM="+board.arm)
			if out, err := build.CombinedOutput(); err != nil {
				t.Fatalf("build: %v: %s", err, out)
			}
			out, err := exec.Command(qemu, append([]string{kiosk, "decode", "-patience", "10m"}, paths...)...).Output()
			if err != nil {
				t.Fatalf("decode: %v", err)
			}
			got := make(map[string][]string)
			for dec := json.NewDecoder(bytes.NewReader(out)); dec.More(); {
				var line struct {
					File  string
					Texts []string
				}
				if err := dec.Decode(&line); err != nil {
					t.Fatal(err)
				}
				got[line.File] = line.Texts
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("texts here and there (-here +there)\n%s", d)
			}
		})
	}
}
