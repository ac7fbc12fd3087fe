package main

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/qrgate/qrgate/server/fleet"
	"github.com/qrgate/qrgate/server/ingest"
	"github.com/qrgate/qrgate/server/mail"
	fleetpages "github.com/qrgate/qrgate/server/portal/fleet"
	"github.com/qrgate/qrgate/server/store"
	keptfleet "github.com/qrgate/qrgate/server/store/fleet"
)

// A health is what looks after kiosks: who hears their beats, who judges them, and
// who tells people.
type health struct {
	kept   *keptfleet.Fleet
	linked *hearing
	ear    *fleet.Ear
	job    *fleet.Job
	poster *fleet.Poster
	key    []byte
}

// newHealth makes in tell it of beats; so it comes before in runs.
func newHealth(s *store.Store, in *ingest.Ingest, ready *atomic.Bool, letters *mail.Sender, base string, key []byte, log *slog.Logger) *health {
	h := &health{kept: keptfleet.New(s, time.Now), linked: &hearing{up: ready.Load}, key: key}
	h.ear = fleet.NewEar(h.kept, time.Now, log.With("task", "history"))
	in.Beats = append(in.Beats, h.ear.Beat)
	h.job = &fleet.Job{Keeper: h.kept, Linked: h.linked.since, Now: time.Now, Log: log.With("task", "alarms")}
	if letters != nil {
		h.job.Letter = func(m fleet.Message) error { return letters.Send(fleetpages.Letter(m, base)) }
	}
	h.poster = &fleet.Poster{Outbox: h.kept, Client: fleet.NewClient(), Secret: h.secret, Now: time.Now, Log: log.With("task", "posts")}
	return h
}

func (h *health) secret(subscription string) []byte { return fleet.Secret(h.key, subscription) }

// pages returns what the portal needs of it.
func (h *health) pages(mail bool) *fleetpages.Options {
	return &fleetpages.Options{Fleet: h.kept, Linked: h.linked.since, Secret: h.secret, Mail: mail, Tabs: []fleetpages.Tab{
		{Path: "cau-hinh", Key: "fleet.tab.config"}, {Path: "lenh", Key: "fleet.tab.orders"}, {Path: "danh-tinh", Key: "fleet.tab.identity"},
	}}
}

func (h *health) start(ctx context.Context, tasks *errgroup.Group) {
	tasks.Go(func() error { return h.linked.run(ctx) })
	tasks.Go(func() error { return h.ear.Run(ctx) })
	tasks.Go(func() error { return h.job.Run(ctx) })
	tasks.Go(func() error { return h.poster.Run(ctx) })
}

// A hearing remembers since when this server hears kiosks.
type hearing struct {
	up func() bool
	at atomic.Int64 // Unix milliseconds, 0 while it does not
}

// since returns since when, or zero.
func (h *hearing) since() time.Time {
	h.look()
	if ms := h.at.Load(); ms != 0 {
		return time.UnixMilli(ms)
	}
	return time.Time{}
}

func (h *hearing) look() {
	if !h.up() {
		h.at.Store(0)
		return
	}
	h.at.CompareAndSwap(0, time.Now().UnixMilli())
}

// run looks often, so that a link that was down for a moment is noticed.
func (h *hearing) run(ctx context.Context) error {
	tick := time.NewTicker(time.Second / 2)
	defer tick.Stop()
	for {
		h.look()
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

var (
	kiosksDesc = prometheus.NewDesc("qrgate_kiosks", "Kiosks by state, on the server that judges them.", []string{"state"}, nil)
	alarmsDesc = prometheus.NewDesc("qrgate_alarms", "Alarms that last and nobody has in hand, by kind, on the server that judges kiosks.", []string{"kind"}, nil)
	graveDesc  = prometheus.NewDesc("qrgate_alarms_grave", "Those of them for which somebody should go and look.", nil, nil)
	judgesDesc = prometheus.NewDesc("qrgate_fleet_judge", "1 on the server that judges kiosks; one of several does.", nil, nil)
)

// Describe and Collect make it a prometheus.Collector. Their labels are the states
// and kinds that there are, and never a kiosk.
func (h *health) Describe(c chan<- *prometheus.Desc) {
	c <- kiosksDesc
	c <- alarmsDesc
	c <- graveDesc
	c <- judgesDesc
}

func (h *health) Collect(c chan<- prometheus.Metric) {
	f := h.job.Figures()
	if f == nil {
		c <- prometheus.MustNewConstMetric(judgesDesc, prometheus.GaugeValue, 0)
		return
	}
	gauge := func(d *prometheus.Desc, v int, labels ...string) {
		c <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), labels...)
	}
	gauge(judgesDesc, 1)
	for _, s := range fleet.States() {
		gauge(kiosksDesc, f.States[s], string(s))
	}
	for _, k := range append(fleet.Kinds(), fleet.Outage) {
		gauge(alarmsDesc, f.Alarms[k], string(k))
	}
	gauge(graveDesc, f.Grave)
}
