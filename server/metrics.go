package main

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/qrgate/qrgate/server/broker"
	"github.com/qrgate/qrgate/server/ingest"
	"github.com/qrgate/qrgate/server/store"
)

// metrics returns the page that Prometheus reads. No series names a kiosk: their
// number has no bound, and what one kiosk does is in the portal.
func metrics(in *ingest.Ingest, b *broker.Broker, s *store.Store, ready *atomic.Bool, more ...prometheus.Collector) http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(more...)
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "qrgate_build_info", Help: "Always 1.", ConstLabels: prometheus.Labels{"version": version}})
	build.Set(1)
	r.MustRegister(build)
	counter := func(name, help string, value func() uint64) {
		r.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return float64(value()) }))
	}
	gauge := func(name, help string, value func() float64) {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
	}
	gauge("qrgate_link_up", "1 while this server is connected to the broker.", func() float64 {
		if ready.Load() {
			return 1
		}
		return 0
	})
	counter("qrgate_ingest_batches_total", "Batches committed.", func() uint64 { return in.Stats().Batches })
	counter("qrgate_ingest_checkins_total", "Check-ins committed.", func() uint64 { return in.Stats().Checkins })
	counter("qrgate_ingest_repeated_total", "Records that were held before.", func() uint64 { return in.Stats().Repeated })
	counter("qrgate_ingest_rejected_total", "Records that became dead letters.", func() uint64 { return in.Stats().Rejected })
	counter("qrgate_ingest_late_total", "Check-ins past their retention, dropped.", func() uint64 { return in.Stats().Late })
	counter("qrgate_ingest_forks_total", "Batches of an epoch with two histories.", func() uint64 { return in.Stats().Forks })
	counter("qrgate_ingest_refused_total", "Messages that did not verify.", func() uint64 { return in.Stats().Refused })
	counter("qrgate_ingest_dropped_total", "Messages that found a full queue; they come again.", func() uint64 { return in.Stats().Dropped })
	counter("qrgate_ingest_failed_total", "Batches that no transaction could take.", func() uint64 { return in.Stats().Failed })
	counter("qrgate_ingest_scattered_total", "Batches that came too far ahead of others; they come again.", func() uint64 { return in.Stats().Scattered })
	counter("qrgate_ingest_receipts_total", "Receipts signed.", func() uint64 { return in.Stats().Receipts })
	counter("qrgate_ingest_beats_total", "Beats answered.", func() uint64 { return in.Stats().Beats })
	counter("qrgate_ingest_commits_total", "Transactions committed.", func() uint64 { return in.Stats().Commits })
	counter("qrgate_ingest_visits_total", "Visits by phone committed.", func() uint64 { return in.Stats().Visits })
	counter("qrgate_ingest_visits_again_total", "Visits by phone that came again.", func() uint64 { return in.Stats().Again })
	counter("qrgate_ingest_visits_busy_total", "Visits by phone that found a full queue.", func() uint64 { return in.Stats().Busy })
	gauge("qrgate_list_version", "Version of the list of void cards that kiosks shall hold.", func() float64 {
		stamp, _ := in.Lists.Newest()
		return float64(stamp.Version)
	})
	gauge("qrgate_list_cards", "Cards in that list.", func() float64 {
		_, cards := in.Lists.Newest()
		return float64(cards)
	})
	gauge("qrgate_gaps", "Epochs that miss records; -1 if the database does not answer.", func() float64 {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		gaps, err := s.Gaps(ctx, time.Now())
		if err != nil {
			return -1
		}
		return float64(len(gaps))
	})
	if b != nil {
		gauge("qrgate_broker_clients", "Clients connected to the embedded broker.", func() float64 { return float64(b.Stats().Clients) })
		counter("qrgate_broker_in_total", "Messages received by the embedded broker.", func() uint64 { return uint64(b.Stats().In) })
		counter("qrgate_broker_out_total", "Messages sent by the embedded broker.", func() uint64 { return uint64(b.Stats().Out) })
		counter("qrgate_broker_dropped_total", "Messages for clients that were too slow.", func() uint64 { return uint64(b.Stats().Dropped) })
		counter("qrgate_broker_takeovers_total", "Connections that another of the same name ended.", func() uint64 { return uint64(b.Stats().Takeovers) })
		counter("qrgate_broker_refused_total", "Connections, publishes and subscriptions refused.", func() uint64 {
			s := b.Stats()
			return uint64(s.RefusedLimit + s.RefusedTLS + s.RefusedConnect + s.RefusedPublish + s.RefusedSubscribe)
		})
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(r, promhttp.HandlerOpts{}))
	return mux
}
