// Command qrgate-launcher starts qrgate-kiosk in the version that has proven itself,
// tries a newer one when the kiosk asks for it, and returns by itself when that one
// does not keep up (package launcher). It comes with the system's package and is not
// replaced by an update.
//
//	qrgate-launcher -versions /var/lib/qrgate/versions -program /usr/bin/qrgate-kiosk -- run -config /etc/qrgate/kiosk.toml
//	qrgate-launcher -versions /var/lib/qrgate/versions -status
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/qrgate/qrgate/device/launcher"
)

// version is set when the package is built, and is the packaged program's as well.
var version = "dev"

const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	f := flag.NewFlagSet("qrgate-launcher", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Usage = func() {
		fmt.Fprint(f.Output(), "qrgate-launcher [flags] -- ARGUMENTS OF THE KIOSK\nstarts qrgate-kiosk in the version that has proven itself, tries newer ones, and returns\n")
		f.PrintDefaults()
	}
	var o launcher.Options
	dir := f.String("versions", "/var/lib/qrgate/versions", "`folder` of the versions that updates bring")
	program := f.String("program", "/usr/bin/qrgate-kiosk", "packaged `program`, which runs when no version is newer")
	f.DurationVar(&o.Ready, "ready", 50*time.Second, "`time` in which a new version must say that it is ready")
	f.DurationVar(&o.Settle, "settle", time.Minute, "`time` that it must run on before it stays")
	f.DurationVar(&o.Alive, "alive", 30*time.Second, "`time` without a sign of life after which the program is ended")
	status := f.Bool("status", false, "print what runs and what was given up, and end")
	if len(args) == 1 && (args[0] == "version" || args[0] == "-version" || args[0] == "--version") {
		fmt.Fprintln(stdout, version)
		return exitOK
	}
	if len(args) == 1 && (args[0] == "-h" || args[0] == "--help" || args[0] == "-help" || args[0] == "help") {
		f.SetOutput(stdout)
		f.Usage()
		return exitOK
	}
	if err := f.Parse(args); err != nil {
		return exitUsage
	}
	slots := launcher.OpenSlots(*dir, launcher.Packaged{Program: *program, Version: version})
	if *status {
		enc := json.NewEncoder(stdout)
		enc.SetIndent("", "  ")
		enc.Encode(slots.State())
		return exitOK
	}
	if f.NArg() == 0 {
		fmt.Fprintln(stderr, "qrgate-launcher: say what the kiosk shall do, as in: qrgate-launcher -- run")
		return exitUsage
	}
	// Without the folder there are no updates; the door opens all the same.
	if err := os.MkdirAll(*dir, 0o700); err != nil {
		fmt.Fprintf(stderr, "qrgate-launcher: %v\n", err)
	}
	o.Version, o.Socket = version, os.Getenv("NOTIFY_SOCKET")
	if us, err := strconv.ParseUint(os.Getenv("WATCHDOG_USEC"), 10, 53); err == nil && o.Socket != "" {
		o.Watch = time.Duration(us) * time.Microsecond
	}
	o.Log = slog.New(slog.NewTextHandler(stderr, nil)).With("task", "launcher")
	if err := launcher.Run(ctx, slots, f.Args(), o); err != nil {
		fmt.Fprintf(stderr, "qrgate-launcher: %v\n", err)
		return exitFailed
	}
	return exitOK
}
