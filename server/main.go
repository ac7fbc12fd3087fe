// Command qrgate-server takes check-ins from kiosks over MQTT, keeps them, and
// shows them as they arrive.
//
// Files in the state directory, each with one writer:
//
//	master.key   wraps every other key; made by init, kept elsewhere in production
//	keys/        the server's own keys, wrapped (package enrol); init
//	days/        keys of people and days, wrapped (package vault); serve
//	tls/         the broker's certificate, and an ACL for an external broker; serve
//	qrgate.db    the embedded database (package store); serve, and one-off commands
//	revoked/     which kiosks are revoked (package store/enrolment); serve, kiosk, restore
//	releases/    signed versions of the kiosks' program (package fleet/releases); release publish
//	erased/      who was erased, as random numbers, and whose data is not used (package retention); serve, person
//	clock        when the server's clock was believed last (package retention); serve, retention
//	audit.head   the newest seal of the audit rows (package retention); serve
//
// Exit status: 0 ended as asked, 1 failed, 2 wrong usage or configuration.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	_ "time/tzdata" // a Pi or container may have no zone database
)

// version is set by the Makefile.
var version = "dev"

const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// A command is one thing that the program does. run gets the arguments after
// the flags.
type command struct {
	name  string
	args  string
	about string
	flags func(*flag.FlagSet) func(ctx context.Context, env environment) error
}

// An environment is what every command works with.
type environment struct {
	config Config
	path   string // of its file
	args   []string
	out    io.Writer
	log    *slog.Logger
	roles  roles // of serve
}

var commands = []command{
	{"serve", "[-role ROLES]", "take check-ins and show them, as one process or as several with roles", serveFlags},
	{"init", "", "make the keys and the database of a new server", initFlags},
	{"migrate", "", "bring the database to this version", noFlags(migrate)},
	{"kiosk", "add | move | list | revoke | reinstate ID", "kiosks that may deliver", kioskFlags},
	{"enrolment", "show | confirm", "whether new kiosks are taken, and that they may come after a restore", noFlags(enrolmentCommand)},
	{"account", "add NAME | list | recover NAME", "accounts of the portal; the first administrator", accountFlags},
	{"card", "", "sign cards and print their texts", cardFlags},
	{"issue", "split", "give the keys of cards a folder of their own, for serve -role issue", issueFlags},
	{"guide", "-o FILE", "write the printed guide by which a kiosk is built and started, as PDF", guideFlags},
	{"cards", "list | revoke NUMBER | confirm", "the list of void cards, as kiosks are told it", cardsFlags},
	{"ledger", "", "say of every kiosk whether anything is missing", noFlags(ledger)},
	{"checkins", "KIOSK", "print what is held of a kiosk; names nobody", noFlags(checkins)},
	{"dead-letters", "", "print what was received and could not be used", noFlags(deadLetters)},
	{"import", "DIR | FILE", "take in what a kiosk without a network wrote on a stick, and write its receipts", noFlags(importBundles)},
	{"release", "init | add | sign | publish | ...", "sign versions of the kiosks' program and serve them", releaseFlags},
	{"backup", "FILE", "write a backup of the database, and copy the keys to their folder", noFlags(backup)},
	{"verify-backup", "FILE", "read a backup to its end; kiosks may then forget what it and copies of keys hold", verifyFlags},
	{"restore", "FILE", "fill an empty database from a backup", noFlags(restore)},
	{"retention", "show | run | verify FILE | ...", "what is past its end is dropped; who has confirmed", noFlags(retentionCommand)},
	{"person", "export | erase KIND NUMBER", "hand over or erase all that is held of one person", personFlags},
	{"audit", "verify", "say whether an audit row was changed, taken out or put in", noFlags(auditCommand)},
	{"check-config", "", "check the configuration", noFlags(checkConfig)},
	{"version", "", "print the version", noFlags(printVersion)},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// errUsage marks an error of whoever called the program.
var errUsage = errors.New("usage")

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 || slices.Contains([]string{"help", "-h", "-help", "--help"}, args[0]) {
		usage(stdout)
		if len(args) == 0 {
			return exitUsage
		}
		return exitOK
	}
	i := slices.IndexFunc(commands, func(c command) bool { return c.name == args[0] })
	if i < 0 {
		fmt.Fprintf(stderr, "qrgate-server: no command %q; see qrgate-server help\n", args[0])
		return exitUsage
	}
	c := commands[i]
	fs := flag.NewFlagSet(c.name, flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.Usage = func() {
		fmt.Fprintf(fs.Output(), "qrgate-server %s [flags] %s\n%s\n", c.name, c.args, c.about)
		fs.PrintDefaults()
	}
	path := fs.String("config", envOr("QRGATE_CONFIG", defaultConfig), "configuration `file`; also $QRGATE_CONFIG")
	do := c.flags(fs)
	// Flags may stand before or after the other arguments.
	var rest []string
	for left := args[1:]; ; left = left[1:] {
		if slices.ContainsFunc(left[:min(1, len(left))], func(a string) bool { return a == "-h" || a == "--help" || a == "-help" }) {
			fs.SetOutput(stdout)
		}
		if err := fs.Parse(left); errors.Is(err, flag.ErrHelp) {
			return exitOK
		} else if err != nil {
			return exitUsage
		}
		if left = fs.Args(); len(left) == 0 {
			break
		}
		rest = append(rest, left[0])
	}
	env := environment{path: *path, args: rest, out: stdout}
	if c.name != "version" {
		var err error
		if env.config, err = readConfig(*path); err != nil {
			fmt.Fprintf(stderr, "qrgate-server: %v\n", err)
			return exitUsage
		}
	}
	env.log = slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: env.config.LogLevel}))
	switch err := do(ctx, env); {
	case err == nil:
		return exitOK
	case errors.Is(err, errUsage):
		fmt.Fprintf(stderr, "qrgate-server %s: %v\n", c.name, err)
		return exitUsage
	default:
		fmt.Fprintf(stderr, "qrgate-server %s: %v\n", c.name, err)
		return exitFailed
	}
}

func usage(w io.Writer) {
	fmt.Fprint(w, "qrgate-server takes check-ins from kiosks and shows them as they arrive.\n\n")
	for _, c := range commands {
		fmt.Fprintf(w, "  qrgate-server %-42s %s\n", strings.TrimSpace(c.name+" "+c.args), c.about)
	}
	fmt.Fprint(w, "\nEach command takes -config FILE; -h tells its other flags.\n")
}

// noFlags makes a command of a function that has no flags of its own.
func noFlags(do func(ctx context.Context, env environment) error) func(*flag.FlagSet) func(context.Context, environment) error {
	return func(*flag.FlagSet) func(context.Context, environment) error { return do }
}

func envOr(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}
