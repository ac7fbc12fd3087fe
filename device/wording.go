package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/qrgate/qrgate/device/bare"
	"github.com/qrgate/qrgate/device/screen"
)

// browserUnit is what shows the page. While it runs its group of programs has members.
const (
	browserUnit  = "qrgate-screen.service"
	browserGroup = "/sys/fs/cgroup/system.slice/" + browserUnit + "/cgroup.procs"
)

// askTime is how long the door, or systemd, has for an answer.
const askTime = 10 * time.Second

// sayWords says on the screen how the kiosk is while no browser draws on it.
func sayWords(ctx context.Context, env environment) error {
	if len(env.args) != 1 {
		return fmt.Errorf("%w: words URL", errUsage)
	}
	return bare.Run(ctx, bare.Options{
		Console: &bare.Kernel{Frame: "/dev/fb0", Terminal: "/dev/tty0"},
		Runs:    browserRuns, Ended: browserEnd, Release: version, Log: newLog(env.stderr, slog.LevelInfo).With("task", "words"),
		Door: func(ctx context.Context) (screen.Brief, error) { return askDoor(ctx, env.args[0]) },
	})
}

func browserRuns() bool {
	members, err := os.ReadFile(browserGroup)
	return err == nil && len(bytes.TrimSpace(members)) > 0
}

// browserEnd asks systemd how the browser's last run ended.
func browserEnd(ctx context.Context) (bare.End, error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	out, err := exec.CommandContext(ctx, "systemctl", "show", "--property=Result,ExecMainStatus,ExecMainExitTimestampMonotonic", browserUnit).Output()
	if err != nil {
		return bare.End{}, fmt.Errorf("systemctl: %w", err)
	}
	return bare.ParseEnd(string(out)), nil
}

// askDoor asks the door's program, which serves the page.
func askDoor(ctx context.Context, page string) (b screen.Brief, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(page, "/")+"/brief", nil)
	if err != nil {
		return b, err
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return b, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return b, fmt.Errorf("the page answers %s", res.Status)
	}
	return b, json.NewDecoder(io.LimitReader(res.Body, 16<<10)).Decode(&b)
}
