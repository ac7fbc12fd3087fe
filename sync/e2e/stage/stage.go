// Package stage puts both programs on a stage: a server with its keys and
// store, kiosks with their identities, and virtual scanners whose bytes travel
// over a real serial line. The demonstration and the end-to-end tests act on it.
//
// Everything is a process or a file below one directory, and everything that
// was started is stopped by Close.
//
//	s, err := stage.New(ctx, dir, stage.Programs{Server: "build/qrgate-server", Kiosk: "build/qrgate-kiosk"}, stage.Options{})
//	server, err := s.StartServer(ctx)
//	kiosk, err := s.AddKiosk(ctx, "dong-ba-gate-1", "Chợ Đông Ba", scannerConfig)
//	run, err := kiosk.Start(ctx)
package stage

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Programs are the paths of the two programs.
type Programs struct{ Server, Kiosk string }

// Options change what a stage does by itself. The zero value is an embedded
// broker and SQLite on free ports of 127.0.0.1.
type Options struct {
	Log    io.Writer // what the programs write to stderr; nil drops it
	Store  string    // data source name; "" is SQLite in the stage's directory
	Broker string    // tls://host:port of an external broker; "" is the embedded one
	Dial   string    // where kiosks connect to, if a proxy stands before the broker
	Portal string    // address of the portal; "" is a free port
	Home   string    // host by which kiosks reach this one, if it is not 127.0.0.1
	Extra  string    // appended to the server's configuration
	Reload []string  // command by which the external broker reads what was revoked
}

// A Stage is one server and its kiosks.
type Stage struct {
	Dir     string
	Portal  string // host:port
	Metrics string // host:port
	Broker  string // host:port

	programs Programs
	options  Options

	mu    sync.Mutex
	procs []*Process
}

// New makes a server with new keys and an empty database in dir.
func New(ctx context.Context, dir string, p Programs, o Options) (*Stage, error) {
	s := &Stage{Dir: dir, programs: p, options: o, Portal: o.Portal}
	var err error
	if s.programs.Server, err = filepath.Abs(p.Server); err != nil {
		return nil, err
	}
	if s.programs.Kiosk, err = filepath.Abs(p.Kiosk); err != nil {
		return nil, err
	}
	for _, addr := range []*string{&s.Portal, &s.Metrics, &s.Broker} {
		if *addr == "" {
			if *addr, err = FreeAddress(); err != nil {
				return nil, err
			}
		}
	}
	if o.Broker != "" {
		s.Broker = strings.TrimPrefix(o.Broker, "tls://")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if err := s.writeConfig(s.serverConfig(), "server-1", s.Portal, s.Metrics); err != nil {
		return nil, err
	}
	_, err = s.Server(ctx, "init")
	return s, err
}

func (s *Stage) writeConfig(path, name, portal, metrics string) error {
	broker := fmt.Sprintf("listen = %q", s.Broker)
	if s.options.Broker != "" {
		broker = fmt.Sprintf("listen = \"\"\nurl = %q", s.options.Broker)
		if len(s.options.Reload) > 0 {
			broker += fmt.Sprintf("\nreload = [\"%s\"]", strings.Join(s.options.Reload, `", "`))
		}
	}
	url := ""
	if home := s.options.Home; home != "" {
		_, port, _ := net.SplitHostPort(s.Broker) // it is one
		broker += fmt.Sprintf("\nkiosks = \"tls://%s:%s\"", home, port)
		_, port, _ = net.SplitHostPort(portal)
		url = fmt.Sprintf("http://%s:%s", home, port)
	}
	config := fmt.Sprintf("state = %q\n[store]\ndsn = %q\n[broker]\n%s\nclient = %q\nnames = [\"127.0.0.1\", \"localhost\"]\n[portal]\nurl = %q\nlisten = %q\nhelp_line = \"19001075\"\nlive = \"anybody\"\n[metrics]\nlisten = %q\n%s\n",
		s.ServerState(), s.options.Store, broker, name, url, portal, metrics, s.options.Extra)
	return os.WriteFile(path, []byte(config), 0o600)
}

// ServerState is the server's state directory.
func (s *Stage) ServerState() string  { return filepath.Join(s.Dir, "server") }
func (s *Stage) serverConfig() string { return filepath.Join(s.Dir, "server.toml") }

// FreeAddress returns an address of 127.0.0.1 on which nobody listened a moment
// ago, and another one each time.
func FreeAddress() (string, error) {
	for {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return "", err
		}
		addr := l.Addr().String()
		l.Close()
		if _, taken := given.LoadOrStore(addr, true); !taken {
			return addr, nil
		}
	}
}

// given are the addresses that FreeAddress has returned: the system may think of one
// again before its stage listens there.
var given sync.Map

// Server runs one of the server's commands to its end and returns what it
// printed.
func (s *Stage) Server(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, s.programs.Server, append(args, "-config", s.serverConfig())...)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return "", fmt.Errorf("qrgate-server %s: %w: %s", args[0], err, exit.Stderr)
	}
	return strings.TrimSpace(string(out)), err
}

// Card returns the text of a new signed card; a picture is written to png
// unless that is empty.
func (s *Stage) Card(ctx context.Context, number int, png string) (string, error) {
	args := []string{"card", "-number", fmt.Sprint(number)}
	if png != "" {
		args = append(args, "-png", png)
	}
	return s.Server(ctx, args...)
}

// StartServer starts the server and returns when it serves.
func (s *Stage) StartServer(ctx context.Context) (*Process, error) {
	p, err := s.start("server", s.programs.Server, "serve", "-config", s.serverConfig())
	if err != nil {
		return nil, err
	}
	return p, s.await(ctx, p, "http://"+s.Portal+"/readyz")
}

// StartSecondServer starts another server beside the first, on the same keys,
// database and broker, which must be external ones, and returns when it serves.
func (s *Stage) StartSecondServer(ctx context.Context) (*Process, error) {
	portal, err := FreeAddress()
	if err != nil {
		return nil, err
	}
	config := filepath.Join(s.Dir, "server-2.toml")
	if err := s.writeConfig(config, "server-2", portal, ""); err != nil {
		return nil, err
	}
	p, err := s.start("server-2", s.programs.Server, "serve", "-config", config)
	if err != nil {
		return nil, err
	}
	return p, s.await(ctx, p, "http://"+portal+"/readyz")
}

func (s *Stage) await(ctx context.Context, p *Process, url string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended: %w", p.name, p.Wait())
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer: %w", p.name, ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// A Kiosk is one kiosk's files.
type Kiosk struct {
	ID  string
	Dir string // state, identity, kiosk.toml and lamps, see Lamps

	stage *Stage
	run   []string // flags of its run
}

// AddKiosk enrols a kiosk at a place. source is the part of its configuration
// that names its scanners and cameras.
func (s *Stage) AddKiosk(ctx context.Context, id, place, source string) (*Kiosk, error) {
	k := &Kiosk{ID: id, Dir: filepath.Join(s.Dir, id), stage: s}
	if err := os.MkdirAll(filepath.Join(k.Dir, "state"), 0o700); err != nil {
		return nil, err
	}
	if _, err := s.Server(ctx, "kiosk", "add", id, "-place", place, "-out", filepath.Join(k.Dir, "identity")); err != nil {
		return nil, err
	}
	dial := s.Broker
	if s.options.Dial != "" {
		dial = s.options.Dial
	}
	config := fmt.Sprintf("state = %q\nidentity = %q\n[log]\nlevel = \"info\"\n[server]\nurl = \"tls://%s\"\nname = \"localhost\"\n[door]\nplace = %q\ngate = \"A1\"\nhelp_line = \"19001075\"\n[panel]\nkind = \"lines\"\nlines = %q\n%s\n",
		k.State(), filepath.Join(k.Dir, "identity"), dial, place, k.Lamps(), source)
	return k, os.WriteFile(k.config(), []byte(config), 0o600)
}

// NewKiosk makes a kiosk that is not enrolled: it has no identity, and its settings name
// neither a place nor a server. name is of its folder. Once it is enrolled, ID is for
// the caller to set.
func (s *Stage) NewKiosk(name, source string) (*Kiosk, error) {
	k := &Kiosk{ID: name, Dir: filepath.Join(s.Dir, name), stage: s, run: []string{"-enrol"}}
	if err := os.MkdirAll(k.Dir, 0o700); err != nil {
		return nil, err
	}
	config := fmt.Sprintf("state = %q\nidentity = %q\n[log]\nlevel = \"info\"\n[panel]\nkind = \"lines\"\nlines = %q\n%s\n",
		k.State(), filepath.Join(k.Dir, "identity"), k.Lamps(), source)
	return k, os.WriteFile(k.config(), []byte(config), 0o600)
}

func (k *Kiosk) config() string { return filepath.Join(k.Dir, "kiosk.toml") }

// State is the kiosk's state directory: its disk.
func (k *Kiosk) State() string { return filepath.Join(k.Dir, "state") }

// Lamps is the file to which the kiosk's panel writes a line for each signal.
func (k *Kiosk) Lamps() string { return filepath.Join(k.Dir, "lamps.jsonl") }

// Start starts the kiosk.
func (k *Kiosk) Start(context.Context) (*Process, error) {
	return k.stage.start(k.ID, k.stage.programs.Kiosk, append([]string{"run", "-config", k.config()}, k.run...)...)
}

// Command runs one of the kiosk's commands to its end and returns what it
// printed.
func (k *Kiosk) Command(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, k.stage.programs.Kiosk, append(args, "-config", k.config())...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// A Scanner is a virtual serial scanner: a process that holds the other end of
// the line.
type Scanner struct {
	*Process
	Path string // of the line that a kiosk opens
	in   io.WriteCloser
}

// StartScanner starts a virtual scanner whose line is linked as path.
func (s *Stage) StartScanner(path string) (*Scanner, error) {
	cmd := exec.Command(s.programs.Kiosk, "virtual-scanner", path)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p, err := s.run("scanner", cmd)
	if err != nil {
		return nil, err
	}
	// It prints the line's name once a kiosk may open it.
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		return nil, fmt.Errorf("virtual scanner at %s: %w", path, err)
	}
	return &Scanner{Process: p, Path: path, in: in}, nil
}

// Write sends lines, each a code, as a scanner sends them.
func (c *Scanner) Write(lines []byte) (int, error) { return c.in.Write(lines) }

// A Process is a program that was started.
type Process struct {
	name string
	cmd  *exec.Cmd
	done chan struct{}
	err  error
}

func (s *Stage) start(name, program string, args ...string) (*Process, error) {
	return s.run(name, exec.Command(program, args...))
}

func (s *Stage) run(name string, cmd *exec.Cmd) (*Process, error) {
	cmd.Stderr = s.options.Log
	// Ctrl-C reaches the whole group of a terminal: the stage decides who ends first.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p := &Process{name: name, cmd: cmd, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.procs = append(s.procs, p)
	return p, nil
}

// Kill ends the process as a power cut would, and waits for it.
func (p *Process) Kill() {
	p.cmd.Process.Kill()
	<-p.done
}

// Stop asks the process to end and waits for it, for ten seconds at most.
func (p *Process) Stop() error {
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
		p.Kill()
		return fmt.Errorf("%s did not end within ten seconds", p.name)
	}
	return p.err
}

// Wait waits for the process to end and returns how it did.
func (p *Process) Wait() error {
	<-p.done
	return p.err
}

// PID returns the number of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Close stops everything that is still running, the last that was started
// first.
func (s *Stage) Close() error {
	s.mu.Lock()
	procs := s.procs
	s.procs = nil
	s.mu.Unlock()
	var errs []error
	for i := len(procs) - 1; i >= 0; i-- {
		select {
		case <-procs[i].done:
		default:
			errs = append(errs, procs[i].Stop())
		}
	}
	return errors.Join(errs...)
}
