// Command pack builds the Debian packages of both programs, and beside each a
// bill of materials. It runs at the top of the repository:
//
//	go run ./sync/e2e/pack -out build/packages
//
// It promises that the same commit gives the same bytes, in whatever directory
// and at whatever time: the programs are built without paths, every file is
// dated by the commit, and nothing else of the machine gets in.
//
// What a package holds stands in nfpm.yaml of device/dist and server/dist. nfpm
// itself is pinned in .ci/nfpm.mod, apart from what the programs are built from.
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A program is what one package is made of: its main package, and another that is
// installed beside it.
type program struct {
	name, source   string
	launcher, dist string // launcher "" has none
	arches         []arch
}

// An arch is one that Debian names deb; the rest is for the Go command.
type arch struct{ deb, goarch, goarm string }

var (
	amd64 = arch{"amd64", "amd64", ""}
	arm64 = arch{"arm64", "arm64", ""}
	armhf = arch{"armhf", "arm", "7"}
)

var programs = []program{
	{"qrgate-kiosk", "./device", "./device/launcher/qrgate-launcher", "device/dist", []arch{arm64, armhf, amd64}},
	{"qrgate-server", "./server", "", "server/dist", []arch{amd64, arm64}},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	out := flag.String("out", "build/packages", "folder of the packages")
	only := flag.String("only", "", "one program, as `qrgate-kiosk`; empty builds both")
	for1 := flag.String("arch", "", "one architecture as Debian names it; empty builds all")
	version := flag.String("version", "", "of the program; empty asks git")
	made := flag.Int64("time", 0, "of the commit, in Unix seconds; 0 asks git")
	flag.Parse()

	r := release{version: *version, time: time.Unix(*made, 0).UTC()}
	if r.version == "" {
		v, err := output(ctx, "git", "describe", "--always", "--dirty")
		if err != nil {
			return err
		}
		// A release is called by its number alone, as rolled out versions are.
		r.version = v
		if number.MatchString(v) {
			r.version = v[1:]
		}
	}
	if *made == 0 {
		v, err := output(ctx, "git", "log", "-1", "--format=%ct")
		if err != nil {
			return err
		}
		s, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			return fmt.Errorf("time of the commit: %w", err)
		}
		r.time = time.Unix(s, 0).UTC()
	}
	if err := os.MkdirAll(*out, 0o755); err != nil {
		return err
	}
	built := 0
	for _, p := range programs {
		for _, a := range p.arches {
			if *only != "" && *only != p.name || *for1 != "" && *for1 != a.deb {
				continue
			}
			name, err := r.pack(ctx, p, a, *out)
			if err != nil {
				return fmt.Errorf("%s for %s: %w", p.name, a.deb, err)
			}
			fmt.Println(name)
			built++
		}
	}
	if built == 0 {
		return fmt.Errorf("no program %q for %q", *only, *for1)
	}
	return nil
}

// A release is what all packages of one commit share.
type release struct {
	version string // as the programs print it
	time    time.Time
	// paths keeps the machine's paths in the programs: what other tests have compiled
	// serves again.
	paths bool
}

// number is how a release is tagged.
var number = regexp.MustCompile(`^v\d+\.\d+\.\d+$`)

// debian returns the version as dpkg compares it. A commit between releases has
// no number of its own; its time puts it in order.
func (r release) debian() string {
	if number.MatchString("v" + r.version) {
		return r.version
	}
	return "0~" + r.time.Format("20060102.1504") + "+" + strings.ReplaceAll(r.version, "-", ".")
}

// pack builds one package and returns the path of its .deb.
func (r release) pack(ctx context.Context, p program, a arch, out string) (string, error) {
	work, err := os.MkdirTemp("", "qrgate-pack-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	binaries := []string{filepath.Join(work, p.name)}
	if err := r.build(ctx, p.source, a, binaries[0]); err != nil {
		return "", err
	}
	if p.launcher != "" {
		binaries = append(binaries, filepath.Join(work, filepath.Base(p.launcher)))
		if err := r.build(ctx, p.launcher, a, binaries[1]); err != nil {
			return "", err
		}
	}
	sbom, err := r.sbom(p, a, binaries)
	if err != nil {
		return "", err
	}
	man, err := os.ReadFile(filepath.Join(p.dist, p.name+".8"))
	if err != nil {
		return "", err
	}
	if man, err = compress(man); err != nil {
		return "", err
	}
	changelog, err := compress(r.changelog(p))
	if err != nil {
		return "", err
	}
	base := fmt.Sprintf("%s_%s_%s", p.name, r.debian(), a.deb)
	for path, content := range map[string][]byte{
		filepath.Join(work, "sbom.spdx.json"): sbom,
		filepath.Join(work, p.name+".8.gz"):   man,
		filepath.Join(work, "changelog.gz"):   changelog,
		filepath.Join(out, base+".spdx.json"): sbom,
	} {
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return "", err
		}
	}
	target := filepath.Join(out, base+".deb")
	nfpm := exec.CommandContext(ctx, "go", "tool", "-modfile=.ci/nfpm.mod", "nfpm", "package", "-p", "deb", "-f", filepath.Join(p.dist, "nfpm.yaml"), "-t", target)
	nfpm.Env = append(os.Environ(), "GOTOOLCHAIN=local", "CGO_ENABLED=0",
		"QRGATE_ARCH="+a.deb, "QRGATE_VERSION="+r.debian(), "QRGATE_WORK="+work, "SOURCE_DATE_EPOCH="+strconv.FormatInt(r.time.Unix(), 10))
	if text, err := nfpm.CombinedOutput(); err != nil {
		return "", fmt.Errorf("nfpm: %w: %s", err, text)
	}
	return target, nil
}

// build links one program; the flags are those of the Makefile.
func (r release) build(ctx context.Context, source string, a arch, binary string) error {
	flags := fmt.Sprintf("-s -w -X main.version=%s -X main.built=%d", r.version, r.time.Unix())
	args := []string{"build", "-buildvcs=false", "-ldflags", flags, "-o", binary}
	if !r.paths {
		args = append(args, "-trimpath")
	}
	c := exec.CommandContext(ctx, "go", append(args, source)...)
	c.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "GOFLAGS=") }),
		"GOTOOLCHAIN=local", "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+a.goarch, "GOARM="+cmp.Or(a.goarm, "7"), "GOAMD64=v1", "GOARM64=v8.0")
	if text, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w: %s", err, text)
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
