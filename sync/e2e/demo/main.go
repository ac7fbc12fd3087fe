// Command demo shows QRGate without hardware: a server with its embedded broker
// and database, and two virtual kiosks with real signed cards. One reads bytes
// from a serial line as a scanner sends them, the other reads camera frames
// from image files. It runs until Ctrl-C and leaves nothing behind.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/qrgate/qrgate/sync/e2e/stage"
)

const (
	cards         = 24 // that are issued; the first half is shown to the serial scanner
	administrator = "quan.tri"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	server := flag.String("server", "build/qrgate-server", "the server `program`")
	kiosk := flag.String("kiosk", "build/qrgate-kiosk", "the kiosk `program`")
	portal := flag.String("portal", "127.0.0.1:8080", "`address` of the page; empty takes a free port")
	verbose := flag.Bool("v", false, "show the programs' logs")
	flag.Parse()
	options := stage.Options{Portal: *portal}
	if *verbose {
		options.Log = os.Stderr
	}
	if err := demo(ctx, stage.Programs{Server: *server, Kiosk: *kiosk}, options); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func demo(ctx context.Context, p stage.Programs, o stage.Options) (err error) {
	// The server would end for it too, but whoever has the address would be taken for it.
	l, err := net.Listen("tcp", o.Portal)
	if err != nil {
		return fmt.Errorf("%w; is another demo running? For another address: make demo PORTAL=127.0.0.1:8090", err)
	}
	l.Close()
	dir, err := os.MkdirTemp("", "qrgate-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s, err := stage.New(ctx, dir, p, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()

	frames := filepath.Join(dir, "frames")
	if err := os.Mkdir(frames, 0o755); err != nil {
		return err
	}
	var texts []string
	for n := 1; n <= cards; n++ {
		picture := ""
		if n > cards/2 {
			picture = filepath.Join(frames, fmt.Sprintf("card-%02d.png", n))
		}
		text, err := s.Card(ctx, n, picture)
		if err != nil {
			return err
		}
		if picture == "" {
			texts = append(texts, text)
		}
	}

	password, err := s.Server(ctx, "account", "add", administrator, "-role", "administrator")
	if err != nil {
		return err
	}
	server, err := s.StartServer(ctx)
	if err != nil {
		return err
	}
	scanner, err := s.StartScanner(filepath.Join(dir, "scanner"))
	if err != nil {
		return err
	}
	var screens [2]string
	for i := range screens {
		if screens[i], err = stage.FreeAddress(); err != nil {
			return err
		}
	}
	market, err := s.AddKiosk(ctx, "dong-ba-cong-1", "Chợ Đông Ba", fmt.Sprintf("[[serial]]\ndevice = %q\n[screen]\nlisten = %q\ncompanions = true\n", scanner.Path, screens[0]))
	if err != nil {
		return err
	}
	station, err := s.AddKiosk(ctx, "ben-xe-phia-nam", "Bến xe phía Nam", fmt.Sprintf("[[camera]]\nkind = \"files\"\npath = %q\nrate = 0.4\n[screen]\nlisten = %q\n", frames, screens[1]))
	if err != nil {
		return err
	}
	running := []*stage.Process{server}
	for _, k := range []*stage.Kiosk{market, station} {
		run, err := k.Start(ctx)
		if err != nil {
			return err
		}
		running = append(running, run)
	}
	fmt.Printf("\n  http://%[1]s/truc-tiep   check-ins as they come: two kiosks are reading cards, one on a serial line, one through camera frames\n"+
		"  http://%[1]s             the portal: register, add a place, print its poster, check in by phone\n"+
		"  http://%[2]s            the screen of the kiosk at the market\n"+
		"  http://%[3]s            the screen of the kiosk at the bus station\n\n"+
		"  %[4]s\n"+
		"    chooses a password for %[5]s, an administrator, who sees kiosks, settings and people; an authenticator app is needed\n\n"+
		"  Ctrl-C ends all and leaves nothing behind.\n\n", s.Portal, screens[0], screens[1], strings.TrimSpace(password), administrator)
	return visitors(ctx, scanner, texts, running)
}

// visitors holds one card after the other before the serial scanner, now and
// then something that is no card, until ctx or a program ends.
func visitors(ctx context.Context, scanner io.Writer, texts []string, running []*stage.Process) error {
	ended := make(chan error, len(running))
	for _, p := range running {
		go func() { ended <- p.Wait() }()
	}
	for n := 0; ; n++ {
		text := texts[n%len(texts)]
		if n%7 == 6 {
			text = "https://example.invalid/p/not-a-card"
		}
		if _, err := io.WriteString(scanner, text+"\n"); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case err := <-ended:
			return fmt.Errorf("a program ended: %w (run with -v to see why)", err)
		case <-time.After(2*time.Second + rand.N(2*time.Second)):
		}
	}
}
