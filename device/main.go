// Command qrgate-kiosk is the program at the door: it reads codes from scanners
// and cameras, judges them, records the verdict, shows it, and delivers what it
// recorded when there is a network.
//
// Files, each with one writer:
//
//	identity/            written at enrolment, as a whole (package enrolment); keys.cbor
//	                     and kiosk.pem also by agent
//	identity.new/        the identity that is coming, before it is enrolled
//	state/outbox.db      the ledger, and its .lock, .new and .damaged-N; package outbox
//	state/amber.cbor     who waits for a record of having been let in on amber; package amber
//	state/agent.json     starts, time floor, when the list was checked; package agent
//	state/lease.json     how long the machine was on without a word; package lease
//	state/room.db        who is inside, events and passes that came in; package room
//	state/revoked.cbor   the server's word that this kiosk was revoked; package enrolment
//	state/void.list      the list of void cards; package agent
//	state/orders.json    orders that came, and what they have the kiosk do; package order
//	state/start.json     how far somebody has come with a first start; package start
//	state/network.applied  which networks of the boot partition's file were made, and when
//	state/config.cbor    the configuration from the server; package settings
//	state/traffic.json   how many come in which hour; package update
//	state/versions/      newer versions of this program; packages update and launcher
//	state/guard/         the guard's page: its certificate, its telephones; package guard
//	state/carry.sock     where export asks a door that runs; package carry
//
// Exit status: 0 ended as asked, 1 failed, 2 wrong usage or configuration, 64 start
// me again in the version that I asked for, 75 storage fault: start again, what is
// on disk is the truth.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/qrgate/qrgate/device/durable"
	"github.com/qrgate/qrgate/device/launcher"
	"github.com/qrgate/qrgate/device/update"
	"github.com/qrgate/qrgate/hw/camera"
	"github.com/qrgate/qrgate/hw/qrread"
	"github.com/qrgate/qrgate/sync/outbox"
)

// version is set by the Makefile; built is the commit's time in Unix seconds,
// below which no clock is believed.
var (
	version = "dev"
	built   = "1764000000"
)

const (
	exitOK      = 0
	exitFailed  = 1
	exitUsage   = 2
	exitStorage = launcher.ExitStorage
)

const defaultConfig = "/etc/qrgate/kiosk.toml"

// An environment is what a command works with.
type environment struct {
	path   string // of the configuration
	args   []string
	in     io.Reader
	out    io.Writer
	stderr io.Writer

	// Of decode.
	explain  bool
	patience time.Duration // for one image

	simulate simulateFlags

	late  bool   // of update
	enrol bool   // of run
	ca    string // of desk
}

type command struct {
	name, args, about string
	run               func(ctx context.Context, env environment) error
}

var commands = []command{
	{"run", "", "serve the door", serve},
	{"enrol", "CODE | -", "make this machine a kiosk by a code of the portal, without a scanner; - reads it from standard input", enrolByHand},
	{"check-config", "", "check the configuration", checkConfig},
	{"release", "", "take the current from the relay, which opens a way out; launcher and unit do after the program has ended", releaseRelay},
	{"ledger", "", "check the ledger of a stopped kiosk and say what it holds", ledger},
	{"export", "DIR", "write what the server lacks to a stick, and take the receipts that lie there", export},
	{"guard", "pair | forget", "show the code that pairs a guard's telephone with a door that runs, or forget every telephone", guardCommand},
	{"update", "[-expired] DIR", "verify the newest version in a folder, as of a stick, and start it next", takeUpdate},
	{"desk", "[-ca FILE] [CODE]", "send what scanners read to a clerk's page of the portal, which shows a code to scan", deskScanner},
	{"simulate", "", "be many kiosks that are not there, for load and for learning", runSimulation},
	{"words", "URL", "say on the screen how the kiosk is while no browser shows the page at URL", sayWords},
	{"decode", "[flags] FILE...", "read codes in image files, one line of JSON each", decode},
	{"check-outbox", "PATH", "check one outbox file; run uses it on itself", checkOutbox},
	{"virtual-scanner", "PATH", "be a serial scanner at PATH that scans each line of standard input", virtualScanner},
	{"version", "", "print the version", printVersion},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// errUsage marks an error of whoever called the program or wrote its
// configuration.
var errUsage = errors.New("usage")

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) == 0 || slices.Contains([]string{"help", "-h", "-help", "--help"}, args[0]) {
		usage(stdout)
		if len(args) == 0 {
			return exitUsage
		}
		return exitOK
	}
	i := slices.IndexFunc(commands, func(c command) bool { return c.name == args[0] })
	if i < 0 {
		fmt.Fprintf(stderr, "qrgate-kiosk: no command %q; see qrgate-kiosk help\n", args[0])
		return exitUsage
	}
	c := commands[i]
	fs := flag.NewFlagSet(c.name, flag.ContinueOnError)
	fs.SetOutput(stderr)
	if slices.ContainsFunc(args[1:], func(a string) bool { return slices.Contains([]string{"-h", "-help", "--help"}, a) }) {
		fs.SetOutput(stdout)
	}
	fs.Usage = func() {
		fmt.Fprintf(fs.Output(), "qrgate-kiosk %s [flags] %s\n%s\n", c.name, c.args, c.about)
		fs.PrintDefaults()
	}
	path := defaultConfig
	if v := os.Getenv("QRGATE_CONFIG"); v != "" {
		path = v
	}
	fs.StringVar(&path, "config", path, "configuration `file`; also $QRGATE_CONFIG")
	env := environment{in: stdin, out: stdout, stderr: stderr}
	if c.name == "simulate" {
		env.simulate.register(fs)
	}
	if c.name == "decode" {
		fs.DurationVar(&env.patience, "patience", decodePatience, "how `long` one image may take")
		fs.BoolVar(&env.explain, "explain", false, "write FILE.explain.png, which shows what was found where")
	}
	if c.name == "desk" {
		fs.StringVar(&env.ca, "ca", "", "certificates in this `file` vouch for the portal too")
	}
	if c.name == "run" {
		fs.BoolVar(&env.enrol, "enrol", false, "take an enrolment code for ten minutes from now, not from power-on, if this is no kiosk yet")
	}
	// Flags may stand before or after the other arguments.
	for left := args[1:]; ; left = left[1:] {
		if err := fs.Parse(left); errors.Is(err, flag.ErrHelp) {
			return exitOK
		} else if err != nil {
			return exitUsage
		}
		if left = fs.Args(); len(left) == 0 {
			break
		}
		env.args = append(env.args, left[0])
	}
	env.path = path
	err := c.run(ctx, env)
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, update.ErrNext):
		return launcher.ExitNext
	}
	fmt.Fprintf(stderr, "qrgate-kiosk %s: %v\n", c.name, err)
	switch {
	case errors.Is(err, errUsage):
		return exitUsage
	case errors.Is(err, outbox.ErrBroken), c.name == "run" && ofDisk(err):
		return exitStorage
	}
	return exitFailed
}

// ofDisk reports whether err is a disk's.
func ofDisk(err error) bool {
	return durable.Fails(err) || errors.Is(err, outbox.ErrBroken)
}

func usage(w io.Writer) {
	fmt.Fprint(w, "qrgate-kiosk reads codes at a door, records them and lets people in.\n\n")
	for _, c := range commands {
		fmt.Fprintf(w, "  qrgate-kiosk %-22s %s\n", strings.TrimSpace(c.name+" "+c.args), c.about)
	}
	fmt.Fprint(w, "\nrun, check-config, ledger and export take -config FILE.\n")
}

func printVersion(_ context.Context, env environment) error {
	_, err := fmt.Fprintln(env.out, version)
	return err
}

func checkConfig(_ context.Context, env environment) error {
	c, err := readConfig(env.path)
	if err != nil {
		return err
	}
	if c.New {
		_, err = fmt.Fprintf(env.out, "%s is in order: not enrolled yet, %d sources\n", env.path, c.sources())
		return err
	}
	_, err = fmt.Fprintf(env.out, "%s is in order: %s, gate %s, direction %s, %d sources\n", env.path, c.Door.Place, c.Door.Gate, c.Door.Direction, c.sources())
	if err != nil {
		return err
	}
	if err := c.sayGuard(env.out); err != nil {
		return err
	}
	return c.sayConfigured(env.out)
}

// ledger prints what the outbox of a stopped kiosk holds.
func ledger(ctx context.Context, env environment) error {
	c, err := readConfig(env.path)
	if err != nil {
		return err
	}
	report, err := outbox.Verify(ctx, c.outbox(), nil)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(env.out, report)
	return err
}

func checkOutbox(ctx context.Context, env environment) error {
	if len(env.args) != 1 {
		return fmt.Errorf("%w: check-outbox PATH", errUsage)
	}
	var failed error
	_, err := outbox.Verify(ctx, env.args[0], func() {
		if _, err := fmt.Fprintln(env.out, "reading on"); err != nil {
			failed = err
		}
	})
	return errors.Join(err, failed)
}

// decodePatience is how long one image may take. The deadline of a camera's frame
// would tell of a busy machine, not of the picture; what it took is printed.
const decodePatience = 2 * time.Second

// decodeMemory is what the heap of decode is kept near.
const decodeMemory = 24 << 20

// decode prints for each image what a kiosk's camera would have read in it.
func decode(ctx context.Context, env environment) error {
	if len(env.args) == 0 {
		return fmt.Errorf("%w: decode FILE, one or more", errUsage)
	}
	type line struct {
		File  string   `json:"file"`
		Texts []string `json:"texts"`
		MS    float64  `json:"ms"` // for decoding alone
		// What a picture that explains shows.
		Explained string `json:"explained,omitempty"`
		Error     string `json:"error,omitempty"`
	}
	// Garbage of large pictures is collected before it fills a small board.
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(decodeMemory))
	reader := qrread.New(qrread.Options{Deadline: env.patience})
	enc := json.NewEncoder(env.out)
	enc.SetEscapeHTML(false)
	unread := 0
	for _, name := range env.args {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		l := line{File: name, Texts: []string{}}
		if img, err := camera.Load(name); err != nil {
			l.Error = err.Error()
			unread++
		} else {
			start := time.Now()
			codes, found := reader.Explain(img)
			l.MS = float64(time.Since(start).Microseconds()) / 1000
			for _, code := range codes {
				l.Texts = append(l.Texts, code.Text)
			}
			if env.explain {
				if l.Explained, err = explain(name, img, codes, found); err != nil {
					return err
				}
			}
		}
		if err := enc.Encode(l); err != nil {
			return err
		}
	}
	if unread > 0 {
		return fmt.Errorf("%d of %d files are no images", unread, len(env.args))
	}
	return nil
}

// newLog returns the log of the program, on standard error as systemd reads it.
func newLog(w io.Writer, level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level}))
}
