package launcher

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/qrgate/qrgate/sync/release"
)

// ExitNext is the exit status with which the program asks to be started again at
// once, in the version that it has asked for.
const ExitNext = 64

// ExitStorage is the exit status with which the program says that the disk failed it.
const ExitStorage = 75

// The environment by which the program knows that it was started by a launcher.
const (
	EnvVersions = "QRGATE_VERSIONS" // folder of versions
	EnvLauncher = "QRGATE_LAUNCHER" // the launcher's version
)

// Options are the optional parts of [Run]. The zero value is right.
type Options struct {
	Ready  time.Duration // that a version on trial has for saying that it is ready; default 50 s
	Settle time.Duration // that it must run on then; default 1 min
	Alive  time.Duration // without a sign of life after which it is ended; default 30 s
	Stop   time.Duration // that it has for ending when asked; default 15 s
	Pause  time.Duration // before a program that ended by itself is started again; default 1 s

	Socket  string                       // of a service manager that hears what the program says; "" is none
	Watch   time.Duration                // in which the service manager waits for a sign of life of the launcher; 0 is never
	Version string                       // of the launcher
	Env     []string                     // of the program; default os.Environ()
	Stdout  io.Writer                    // default os.Stdout
	Stderr  io.Writer                    // default os.Stderr
	Log     *slog.Logger                 // default: none
	Tell    func(event string, c Choice) // told of started, ready, proven, ended; for tests
}

// freeTime is how long the packaged program has for taking the current from the relay.
const freeTime = 5 * time.Second

// patience is how many times as long a version that had proven itself may take to
// be ready. One with a large ledger to check or to mend asks for more as it gets on.
const patience = 6

func (o *Options) fill() {
	set := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	set(&o.Ready, 50*time.Second)
	set(&o.Settle, time.Minute)
	set(&o.Alive, 30*time.Second)
	set(&o.Stop, 15*time.Second)
	set(&o.Pause, time.Second)
	if o.Env == nil {
		o.Env = os.Environ()
	}
	if o.Stdout == nil {
		o.Stdout = os.Stdout
	}
	if o.Stderr == nil {
		o.Stderr = os.Stderr
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Tell == nil {
		o.Tell = func(string, Choice) {}
	}
}

// Run starts the program with args, again and again, until ctx ends; then it asks
// the program to end and returns. After each end the packaged program frees the relay.
func Run(ctx context.Context, s *Slots, args []string, o Options) error {
	o.fill()
	// A program whose launcher is killed ends with it; the kernel ties that to a thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if s.Damaged != nil {
		o.Log.Error("state begun anew", "err", s.Damaged)
	}
	ear, err := listen()
	if err != nil {
		return err
	}
	defer ear.close()
	for ctx.Err() == nil {
		c, err := s.Choose()
		if err != nil {
			o.Log.Error("versions not kept", "err", err)
		}
		o.Log.Info("starting", "version", c.Version, "trial", c.Trial)
		again := once(ctx, s, c, args, ear, o)
		free(s.packaged.Program, args, o)
		if again && (Versions{s.dir}).Asked() != "" {
			continue
		}
		select {
		case <-ctx.Done():
		case <-time.After(o.Pause):
		}
	}
	return nil
}

// once runs the program one time and reports whether it asks for the next at once.
func once(ctx context.Context, s *Slots, c Choice, args []string, ear *ear, o Options) (again bool) {
	note := func(err error) {
		if err != nil {
			o.Log.Error("versions not kept", "err", err)
		}
	}
	ear.drain()
	cmd := exec.Command(c.Program, args...)
	cmd.Stdout, cmd.Stderr = o.Stdout, o.Stderr
	cmd.Env = environment(o, ear.path, s.dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		o.Log.Error("program not started", "version", c.Version, "err", err)
		note(s.Ended(c, release.Crashed))
		o.Tell("ended", c)
		return false
	}
	o.Tell("started", c)
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()

	ready := o.Ready
	if !c.Trial {
		ready *= patience
	}
	limit := time.NewTimer(ready) // until the next thing that must happen
	defer limit.Stop()
	due := time.Now().Add(ready)
	var settled, watch <-chan time.Time
	if o.Watch > 0 {
		tick := time.NewTicker(o.Watch / 2)
		defer tick.Stop()
		watch = tick.C
	}
	isReady, proven, reason := false, false, release.Crashed
	for {
		select {
		case <-watch:
			// The program's own signs of life are this loop's to judge.
			o.tell("WATCHDOG=1")
		case word := <-ear.heard:
			o.pass(word)
			if slices.Contains(strings.Split(word, "\n"), "READY=1") && !isReady {
				isReady = true
				settle := time.NewTimer(o.Settle)
				defer settle.Stop()
				settled = settle.C
				o.Tell("ready", c)
			}
			if more := extension(word); isReady {
				limit.Reset(o.Alive)
			} else if more > time.Until(due) {
				due = time.Now().Add(more)
				limit.Reset(more)
			}
		case <-settled:
			settled, proven = nil, true
			note(s.Proven(c))
			o.Log.Info("version has proven itself", "version", c.Version)
			o.Tell("proven", c)
		case <-limit.C:
			o.Log.Error("program gives no sign of life", "version", c.Version, "ready", isReady)
			reason = release.NoHealth
			cmd.Process.Kill()
			limit.Reset(o.Alive)
		case err := <-ended:
			again = cmd.ProcessState.ExitCode() == ExitNext
			o.Log.Info("program ended", "version", c.Version, "ready", isReady, "err", err)
			switch {
			case proven:
			case again && isReady:
				note(s.Stopped(c))
			case cmd.ProcessState.ExitCode() == ExitStorage:
				note(s.Faulted(c))
			default:
				note(s.Ended(c, reason))
				again = false
			}
			o.Tell("ended", c)
			return again
		case <-ctx.Done():
			stop(cmd, ended, o)
			if !proven {
				note(s.Stopped(c))
			}
			o.Tell("ended", c)
			return false
		}
	}
}

// maxExtension bounds what a program may ask for at a time.
const maxExtension = 10 * time.Minute

// extension returns how much longer a program asks to be waited for before it is ready,
// as it would ask systemd; 0 if it does not.
func extension(word string) time.Duration {
	for line := range strings.SplitSeq(word, "\n") {
		if us, asks := strings.CutPrefix(line, "EXTEND_TIMEOUT_USEC="); asks {
			n, err := strconv.ParseInt(us, 10, 64)
			if err != nil || n < 0 {
				return 0
			}
			return time.Duration(min(n, maxExtension.Microseconds())) * time.Microsecond
		}
	}
	return 0
}

// free has the packaged program take the current from the relay of a program that has
// ended, however it did: on many boards a line keeps its level when whoever held it is
// gone, and the unit, which does the same, stops only with the launcher.
func free(program string, args []string, o Options) {
	ctx, cancel := context.WithTimeout(context.Background(), freeTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, freeing(args)...)
	cmd.Stdout, cmd.Stderr, cmd.Env = o.Stdout, o.Stderr, o.Env
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := cmd.Run(); err != nil {
		o.Log.Error("relay not freed", "err", err)
	}
}

// freeing returns the arguments of release for a program that ran with args: only which
// configuration it had matters.
func freeing(args []string) []string {
	free := []string{"release"}
	for i, a := range args {
		name, dashed := strings.CutPrefix(a, "-")
		name = strings.TrimPrefix(name, "-")
		switch {
		case !dashed:
		case name == "config" && i+1 < len(args):
			free = append(free, a, args[i+1])
		case strings.HasPrefix(name, "config="):
			free = append(free, a)
		}
	}
	return free
}

// stop asks the program to end, and ends it if it does not.
func stop(cmd *exec.Cmd, ended <-chan error, o Options) {
	cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-ended:
		return
	case <-time.After(o.Stop):
	}
	o.Log.Error("program did not end when asked")
	cmd.Process.Kill()
	<-ended
}

// environment is the launcher's own, in which the program speaks to the launcher
// and not to the service manager.
func environment(o Options, socket, versions string) []string {
	own := []string{"NOTIFY_SOCKET=", "WATCHDOG_USEC=", "WATCHDOG_PID=", EnvVersions + "=", EnvLauncher + "="}
	env := slices.DeleteFunc(slices.Clone(o.Env), func(v string) bool {
		return slices.ContainsFunc(own, func(name string) bool { return strings.HasPrefix(v, name) })
	})
	return append(env, "NOTIFY_SOCKET="+socket, "WATCHDOG_USEC="+strconv.FormatInt(o.Alive.Microseconds()/2, 10),
		EnvVersions+"="+versions, EnvLauncher+"="+o.Version)
}

// pass hands on what the program says of itself. That it ends is no end of the
// service: it is started again.
func (o Options) pass(word string) {
	lines := slices.DeleteFunc(strings.Split(word, "\n"), func(l string) bool { return l != "READY=1" && !strings.HasPrefix(l, "STATUS=") })
	if len(lines) > 0 {
		o.tell(strings.Join(lines, "\n"))
	}
}

// tell says something to the service manager. If it does not arrive, the service
// manager misses the next sign of life too, and acts.
func (o Options) tell(word string) {
	if o.Socket == "" {
		return
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: o.Socket, Net: "unixgram"})
	if err != nil {
		return
	}
	defer conn.Close()
	conn.SetWriteDeadline(time.Now().Add(time.Second))
	conn.Write([]byte(word))
}

// An ear hears what the program says.
type ear struct {
	dir   string
	path  string
	conn  *net.UnixConn
	heard chan string
	done  chan struct{}
}

// maxWord is the longest message that is heard whole.
const maxWord = 4096

// listen makes the socket in a folder that is nobody else's.
func listen() (*ear, error) {
	dir, err := os.MkdirTemp(os.Getenv("RUNTIME_DIRECTORY"), "qrgate-launcher")
	if err != nil {
		return nil, fmt.Errorf("launcher: socket: %w", err)
	}
	e := &ear{dir: dir, path: filepath.Join(dir, "notify"), heard: make(chan string, 16), done: make(chan struct{})}
	if e.conn, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: e.path, Net: "unixgram"}); err != nil {
		return nil, errors.Join(fmt.Errorf("launcher: socket: %w", err), os.RemoveAll(dir))
	}
	go func() { // ends with the socket
		defer close(e.done)
		b := make([]byte, maxWord)
		for {
			n, err := e.conn.Read(b)
			if err != nil {
				return
			}
			select {
			case e.heard <- strings.TrimSpace(string(b[:n])):
			default: // nobody listens between two programs
			}
		}
	}()
	return e, nil
}

// drain forgets what an earlier program has said.
func (e *ear) drain() {
	for {
		select {
		case <-e.heard:
		default:
			return
		}
	}
}

func (e *ear) close() {
	e.conn.Close()
	<-e.done
	os.RemoveAll(e.dir)
}
