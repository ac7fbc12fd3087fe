// Command probe does in a machine what a test outside says. It is in images that are
// made for tests alone, calls the test and is called by nobody: the machine has no more
// open ports than without it.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"
)

// A request is either a program that is to be run, or a connection that is to be made
// between two addresses.
type request struct {
	Run    []string
	Tunnel []string
}

type answer struct {
	Out string
	Err string
}

func main() {
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(1)
	}
}

func serve() error {
	line, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return err
	}
	_, home, _ := strings.Cut(string(line), "qrgate.probe=")
	home, _, _ = strings.Cut(strings.TrimSpace(home), " ")
	conn, err := net.DialTimeout("tcp", home, 5*time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	in, out := json.NewDecoder(conn), json.NewEncoder(conn)
	for {
		var r request
		if err := in.Decode(&r); err != nil {
			return err
		}
		var a answer
		if len(r.Run) > 0 {
			b, err := exec.Command(r.Run[0], r.Run[1:]...).CombinedOutput()
			a.Out = string(b)
			if err != nil {
				a.Err = err.Error()
			}
		}
		if len(r.Tunnel) == 2 {
			if err := tunnel(r.Tunnel[0], r.Tunnel[1]); err != nil {
				a.Err = err.Error()
			}
		}
		if err := out.Encode(a); err != nil {
			return err
		}
	}
}

// tunnel joins two addresses until either side ends.
func tunnel(from, to string) error {
	a, err := net.Dial("tcp", from)
	if err != nil {
		return err
	}
	b, err := net.Dial("tcp", to)
	if err != nil {
		a.Close()
		return err
	}
	go func() {
		defer a.Close()
		defer b.Close()
		io.Copy(a, b)
	}()
	go func() {
		defer a.Close()
		defer b.Close()
		io.Copy(b, a)
	}()
	return nil
}
