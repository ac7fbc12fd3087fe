// Command probe does in a machine what a test outside says. It is in images that are
// made for tests alone, calls the test and is called by nobody: the machine has no more
// open ports than without it, and no shell.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A request is one of these.
type request struct {
	Run    []string // a program
	Read   string   // files, by a pattern, one after the other
	Append string   // Text to this file
	Text   string
	Room   []string // that file systems have
	Find   string   // files of the root by their name
	Tunnel []string // a connection between two addresses
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
	for ; err != nil; conn, err = net.DialTimeout("tcp", home, 5*time.Second) {
		time.Sleep(time.Second) // the machine's network is later than this
	}
	defer conn.Close()
	in, out := json.NewDecoder(conn), json.NewEncoder(conn)
	for {
		var r request
		if err := in.Decode(&r); err != nil {
			return err
		}
		said, err := r.do()
		a := answer{Out: said}
		if err != nil {
			a.Err = err.Error()
		}
		if err := out.Encode(a); err != nil {
			return err
		}
	}
}

func (r request) do() (string, error) {
	switch {
	case len(r.Run) > 0:
		b, err := exec.Command(r.Run[0], r.Run[1:]...).CombinedOutput()
		return string(b), err
	case r.Read != "":
		return read(r.Read)
	case r.Append != "":
		return "", appendTo(r.Append, r.Text)
	case len(r.Room) > 0:
		return room(r.Room)
	case r.Find != "":
		return find(r.Find)
	case len(r.Tunnel) == 2:
		return "", tunnel(r.Tunnel[0], r.Tunnel[1])
	}
	return "", nil
}

func read(pattern string) (string, error) {
	paths, err := filepath.Glob(pattern)
	var all strings.Builder
	for _, p := range paths {
		b, err := os.ReadFile(p)
		if err != nil && len(paths) == 1 {
			return "", err
		}
		all.Write(b) // of many, one may be gone: a process
	}
	return all.String(), err
}

func appendTo(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(text)
	return err
}

func room(paths []string) (string, error) {
	var out strings.Builder
	for _, p := range paths {
		var s unix.Statfs_t
		if err := unix.Statfs(p, &s); err != nil {
			return "", fmt.Errorf("%s: %w", p, err)
		}
		mib := func(blocks uint64) float64 { return float64(blocks) * float64(s.Bsize) / (1 << 20) }
		fmt.Fprintf(&out, "%-16s %7.1f MiB, used %7.1f MiB\n", p, mib(s.Blocks), mib(s.Blocks-s.Bfree))
	}
	return out.String(), nil
}

func find(name string) (string, error) {
	var found []string
	err := filepath.WalkDir("/usr", func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == name {
			found = append(found, p)
		}
		return err
	})
	return strings.Join(found, "\n"), err
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
