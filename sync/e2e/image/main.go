// Command image builds what is written to a kiosk's card: a Debian for the Raspberry Pi
// 3, 4, 5 and Zero 2, with the kiosk's program in it, and the same system alone, as an
// update brings it. It runs at the top of the repository:
//
//	go run ./sync/e2e/image -out build/image            # boxes with lamps only
//	go run ./sync/e2e/image -out build/image -screen    # with a browser
//	go run ./sync/e2e/image -out build/image -arch armhf # for a Pi 2, with lamps only
//
// It promises that the same commit and the same packages of Debian give the same
// bytes; which packages these were is written beside the image. How a card is laid out
// is package system's matter (device/system).
//
// What draws the page of a box with a screen is cage with chromium. Debian 13 counts 159 MB
// of packages without a browser, and with one:
//
//	cog alone, on the screen itself    656 MB
//	cage with cog                      668 MB
//	cage with chromium                 882 MB
//
// Under Debian 12 on amd64, with no graphics chip, cage with chromium drew the first page
// of a first start and took 407 MiB (PSS of all its programs) and 4 s of a processor; cage
// with cog took 216 MiB and 2 s, and the page stayed white. Debian mends chromium; its
// WebKit for cog is that of the release. A box with a screen wants a board with 1 GiB.
//
// Needs Debian's packages mmdebstrap, squashfs-tools, dosfstools, mtools, kmod, systemd,
// device-tree-compiler and xz-utils, and apt-get; root, or a user with a range of numbers
// in /etc/subuid and the package uidmap. No program of the other architecture is run, and
// no board is needed.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// here is this folder, seen from the top of the repository.
const here = "sync/e2e/image"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	out := flag.String("out", "build/image", "folder of the images")
	cache := flag.String("cache", "build/image/cache", "folder of what comes from Debian")
	screen := flag.Bool("screen", false, "with a browser for a screen")
	deb := flag.String("arch", arm64.deb, "of the boards, as Debian names it: arm64, or armhf for a Pi 2")
	version := flag.String("version", "", "of the system and the program; empty asks git")
	made := flag.Int64("time", 0, "of the commit, in Unix seconds; 0 asks git")
	probe := flag.Bool("probe", false, "with a program that does what a test says, for tests alone")
	flag.Parse()
	b := build{out: *out, variant: "lamps", arch: arm64, version: *version, made: time.Unix(*made, 0), probe: *probe}
	switch *deb {
	case arm64.deb:
	case armhf.deb:
		b.arch = armhf
	default:
		return fmt.Errorf("no boards of %q", *deb)
	}
	if *screen {
		b.variant = "screen"
	}
	var err error
	if b.version == "" {
		if b.version, err = output(ctx, "git", "describe", "--always", "--dirty"); err != nil {
			return err
		}
	}
	if *made == 0 {
		s, err := output(ctx, "git", "log", "-1", "--format=%ct")
		if err != nil {
			return err
		}
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return fmt.Errorf("time of the commit: %w", err)
		}
		b.made = time.Unix(n, 0)
	}
	if b.cache, err = filepath.Abs(*cache); err != nil {
		return err
	}
	if err := os.MkdirAll(b.out, 0o755); err != nil {
		return err
	}
	if b.work, err = os.MkdirTemp(b.out, "work-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.work)
	return b.all(ctx)
}

// A build is one image that is being made.
type build struct {
	out, cache, work string
	variant          string
	arch             arch
	version          string
	made             time.Time
	probe            bool
}

// An arch is what boards run, as Debian and as Go name it.
type arch struct {
	deb, goarch string
	boards      string // pattern of the descriptions of its boards
}

var (
	arm64 = arch{"arm64", "arm64", "broadcom/bcm2*.dtb"}
	armhf = arch{"armhf", "arm", "bcm2836*.dtb"}
)

// name says which image it is; that of most boards is called by its variant alone.
func (b *build) name() string {
	if b.arch == arm64 {
		return b.variant
	}
	return b.variant + "-" + b.arch.deb
}

func (b *build) parts(name ...string) string {
	return filepath.Join(append([]string{b.cache, "parts", b.name()}, name...)...)
}

func (b *build) all(ctx context.Context) error {
	if err := b.debian(ctx); err != nil {
		return err
	}
	k, err := b.kernel(ctx)
	if err != nil {
		return err
	}
	squashfs := filepath.Join(b.work, "root.squashfs")
	if err := b.root(ctx, k, squashfs); err != nil {
		return fmt.Errorf("root: %w", err)
	}
	fat, err := b.boot(ctx, k)
	if err != nil {
		return fmt.Errorf("boot: %w", err)
	}
	base := filepath.Join(b.out, fmt.Sprintf("qrgate-%s-%s", b.name(), b.version))
	if b.probe {
		base += "-probe"
	}
	if err := b.system(base+".system", fat, squashfs); err != nil {
		return fmt.Errorf("system: %w", err)
	}
	if err := b.card(ctx, base+".img", base+".system"); err != nil {
		return fmt.Errorf("card: %w", err)
	}
	if err := b.packages(base + ".packages"); err != nil {
		return err
	}
	for _, path := range []string{squashfs, base + ".system", base + ".img"} {
		if info, err := os.Stat(path); err == nil {
			fmt.Printf("%-50s %6.1f MiB\n", filepath.Base(path), float64(info.Size())/(1<<20))
		}
	}
	return nil
}

// packages writes which version of which package the image holds.
func (b *build) packages(path string) error {
	var all []byte
	for _, name := range []string{"installed", "fetched"} {
		list, err := os.ReadFile(b.parts(name))
		if err != nil {
			return err
		}
		all = append(all, list...)
	}
	return os.WriteFile(path, all, 0o644)
}

// command is a program that is told the time by which everything is dated.
func (b *build) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, name, args...)
	c.Env = append(os.Environ(), "SOURCE_DATE_EPOCH="+strconv.FormatInt(b.made.Unix(), 10), "TZ=UTC", "LC_ALL=C.UTF-8", "MTOOLS_SKIP_CHECK=1",
		"GOTOOLCHAIN=local", "CGO_ENABLED=0")
	return c
}

func (b *build) must(ctx context.Context, name string, args ...string) error {
	if out, err := b.command(ctx, name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}

func output(ctx context.Context, name string, args ...string) (string, error) {
	b, err := exec.CommandContext(ctx, name, args...).Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return strings.TrimSpace(string(b)), nil
}

// copyFile appends a file to w.
func copyFile(w io.Writer, path string) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return io.Copy(w, f)
}
