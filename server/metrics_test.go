package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/qrgate/qrgate/server/dist"
)

// scrape runs a server with one kiosk enrolled and returns what Prometheus would
// read of it.
func scrape(t *testing.T) string {
	t.Helper()
	d := newDesk(t)
	free := func() string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		return l.Addr().String()
	}
	addr := free()
	config := fmt.Sprintf("state = %q\n[broker]\nlisten = %q\n[portal]\nlisten = %q\n[metrics]\nlisten = %q\n", filepath.Join(d.dir, "state"), free(), free(), addr)
	if err := os.WriteFile(d.config, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	d.must("init")
	d.must("kiosk", "add", "kiosk-0001", "-place", "Chợ Đông Ba", "-out", filepath.Join(d.dir, "identity"))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan int, 1)
	var errs bytes.Buffer
	go func() { done <- run(ctx, []string{"serve", "-config", d.config}, io.Discard, &errs) }()
	defer func() {
		cancel()
		if code := <-done; code != exitOK {
			t.Errorf("serve: exit status %d: %s", code, errs.String())
		}
	}()
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		page := fetch(addr)
		// Who judges kiosks is settled a moment after the start.
		if strings.Contains(page, "\nqrgate_fleet_judge 1\n") && strings.Contains(page, "\nqrgate_link_up 1\n") {
			return page
		}
		if time.Now().After(end) {
			t.Fatalf("no metrics: %s", page)
		}
	}
}

func fetch(addr string) string {
	resp, err := http.Get("http://" + addr + "/metrics")
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// labels are those that a series of ours may have, with all that may stand in
// them: what is not bounded is no label.
var labels = map[string][]string{
	"version":     {"dev"},
	"what":        {"limit", "tls", "connect", "publish", "subscribe"},
	"batch":       {"live", "backlog"},
	"certificate": {"ca", "broker", "portal"},
	"state":       {"online", "silent", "offline", "unseen", "unknown", "revoked"},
	"kind": {
		"silent", "cloned", "fork", "moved", "gap", "scanner", "unreadable", "nobody", "backlog", "storage", "clock", "power", "hot",
		"certificate", "config", "version", "outage",
	},
}

var (
	sample = regexp.MustCompile(`^([a-z_]+)(?:\{(.*)\})? `)
	label  = regexp.MustCompile(`([a-z_]+)="([^"]*)"`)
	named  = regexp.MustCompile(`\bqrgate_[a-z_]+\b`)
	query  = regexp.MustCompile(`(?m)^\s*(?:expr|- expr):`)
)

func TestMetrics(t *testing.T) {
	page := scrape(t)
	problems, err := promlint.New(strings.NewReader(page)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "qrgate_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
	if strings.Contains(page, "kiosk-0001") || strings.Contains(page, "Đông Ba") {
		t.Error("a series names a kiosk or its place")
	}
	have := map[string]bool{}
	for line := range strings.Lines(page) {
		m := sample.FindStringSubmatch(line)
		if m == nil || !strings.HasPrefix(m[1], "qrgate_") {
			continue
		}
		have[m[1]] = true
		for _, l := range label.FindAllStringSubmatch(m[2], -1) {
			if l[1] == "le" && strings.HasSuffix(m[1], "_bucket") {
				continue // as many as LagBounds
			}
			if !slices.Contains(labels[l[1]], l[2]) {
				t.Errorf("%s: label %s=%q is not one of %q", m[1], l[1], l[2], labels[l[1]])
			}
		}
	}

	t.Run("alerts.yml", func(t *testing.T) {
		if len(query.FindAllString(string(dist.Alerts), -1)) == 0 {
			t.Fatal("no rules")
		}
		exist(t, have, string(dist.Alerts))
	})
	t.Run("grafana.json", func(t *testing.T) {
		exprs := dashboard(t)
		exist(t, have, strings.Join(exprs, "\n"))
		// What is counted and never shown would be missed on the day.
		for name := range have {
			base := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_sum"), "_count")
			if !strings.Contains(strings.Join(exprs, "\n"), base) {
				t.Errorf("%s is on no panel", base)
			}
		}
	})
}

// exist checks that each series that text names is there.
func exist(t *testing.T, have map[string]bool, text string) {
	t.Helper()
	for _, name := range named.FindAllString(text, -1) {
		if !have[name] {
			t.Errorf("no series %s", name)
		}
	}
}

// dashboard returns the queries of the dashboard.
func dashboard(t *testing.T) (exprs []string) {
	t.Helper()
	type panel struct {
		Title   string
		Targets []struct{ Expr string }
		Panels  []panel
	}
	var d struct {
		Title  string
		Panels []panel
	}
	if err := json.Unmarshal(dist.Dashboard, &d); err != nil {
		t.Fatal(err)
	}
	var walk func(all []panel)
	walk = func(all []panel) {
		for _, p := range all {
			for _, target := range p.Targets {
				exprs = append(exprs, target.Expr)
			}
			walk(p.Panels)
		}
	}
	walk(d.Panels)
	if d.Title == "" || len(exprs) == 0 {
		t.Fatalf("dashboard %q has %d queries", d.Title, len(exprs))
	}
	return exprs
}
