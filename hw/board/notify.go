package board

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// notifyTimeout bounds how long a full socket of the service manager can hold
// the kiosk.
const notifyTimeout = time.Second

// A Notifier tells the service manager, systemd, how the program is
// (sd_notify(3)). Without a service manager it does nothing and has no errors.
type Notifier struct {
	socket string
	every  time.Duration
}

// NewNotifier returns the notifier for the NOTIFY_SOCKET, WATCHDOG_USEC and
// WATCHDOG_PID that getenv returns, os.Getenv for example.
func NewNotifier(getenv func(string) string) *Notifier {
	n := &Notifier{socket: getenv("NOTIFY_SOCKET")}
	if n.socket == "" {
		return n
	}
	if pid := getenv("WATCHDOG_PID"); pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return n // the watchdog waits for another process
	}
	// 53 bits of microseconds are 285 years and fit a Duration.
	if us, err := strconv.ParseUint(getenv("WATCHDOG_USEC"), 10, 53); err == nil {
		n.every = time.Duration(us) * time.Microsecond
	}
	return n
}

// Interval returns how long the service manager waits for a sign of life; 0 if
// it waits for none.
func (n *Notifier) Interval() time.Duration { return n.every }

// Ready says that the program has started.
func (n *Notifier) Ready() error { return n.send("READY=1") }

// Extend asks for d from now before the program must be ready: it gets on, but has
// much to do.
func (n *Notifier) Extend(d time.Duration) error {
	return n.send("EXTEND_TIMEOUT_USEC=" + strconv.FormatInt(d.Microseconds(), 10))
}

// Stopping says that the program is about to end.
func (n *Notifier) Stopping() error { return n.send("STOPPING=1") }

// Status shows text, one line, to whoever asks systemctl.
func (n *Notifier) Status(text string) error {
	return n.send("STATUS=" + strings.Join(strings.Fields(text), " "))
}

// Alive gives one sign of life.
func (n *Notifier) Alive() error { return n.send("WATCHDOG=1") }

// Run gives a sign of life at twice the pace that the service manager asks for,
// as long as alive returns true, until ctx ends. alive must look at the work and
// not merely return: a program that hangs is restarted only if it falls silent.
func (n *Notifier) Run(ctx context.Context, alive func() bool) error {
	if n.every == 0 {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(n.every / 2)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if alive() {
				// A lost sign is followed by the next; if all
				// are lost, the service manager acts.
				_ = n.Alive()
			}
		}
	}
}

// send opens the socket anew each time: one kept open dies with the service
// manager's, which is made anew when that is upgraded.
func (n *Notifier) send(state string) error {
	if n.socket == "" {
		return nil
	}
	// A leading @ is an abstract socket, to net as to systemd.
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: n.socket, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("board: notify: %w", err)
	}
	defer conn.Close()
	if err := conn.SetWriteDeadline(time.Now().Add(notifyTimeout)); err != nil {
		return fmt.Errorf("board: notify: %w", err)
	}
	if _, err := conn.Write([]byte(state)); err != nil {
		return fmt.Errorf("board: notify: %w", err)
	}
	return nil
}
