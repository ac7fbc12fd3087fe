package main

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sys/unix"

	"github.com/qrgate/qrgate/server/broker"
	"github.com/qrgate/qrgate/server/enrol"
	"github.com/qrgate/qrgate/server/ingest"
	"github.com/qrgate/qrgate/server/mail"
	"github.com/qrgate/qrgate/server/retention"
	"github.com/qrgate/qrgate/server/store"
)

// scrapeTimeout is how long the database may take to answer one question of a
// scrape.
const scrapeTimeout = 5 * time.Second

// A watched is what the metrics tell of.
type watched struct {
	config Config
	ingest *ingest.Ingest
	broker *broker.Broker // nil with an external one
	store  *store.Store
	ready  *atomic.Bool
	ca     *enrol.CA
	cert   *enrol.ServerCertificate
	keeper *retention.Keeper
	mail   *mail.Sender // nil if this server sends none
	more   []prometheus.Collector
}

// metrics returns the page that Prometheus reads. No series names a kiosk, a place
// or a person: their number has no bound, and what one kiosk does is in the portal.
func metrics(w watched) http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	r.MustRegister(w.more...)
	m := meter{r}
	m.labelled("qrgate_build_info", "Always 1.", prometheus.Labels{"version": version}, func() float64 { return 1 })
	m.gauge("qrgate_link_up", "1 while this server is connected to the broker.", func() float64 {
		if w.ready.Load() {
			return 1
		}
		return 0
	})
	m.ingest(w.ingest)
	if w.broker != nil {
		m.broker(w.broker)
	}
	m.store(w.store)
	m.files(w)
	m.gauge("qrgate_retention_done_timestamp_seconds", "When this server last dropped all that is past its end; 0 if it has not.", func() float64 { return unixSeconds(w.keeper.Done()) })
	m.clock(w.keeper)
	m.gauge("qrgate_mail_waiting", "Letters that wait for the mail server.", func() float64 {
		if w.mail == nil {
			return 0
		}
		return float64(w.mail.Waiting())
	})
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(r, promhttp.HandlerOpts{}))
	return mux
}

// A meter registers what is asked for at each scrape.
type meter struct{ registry *prometheus.Registry }

func (m meter) counter(name, help string, value func() uint64) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return float64(value()) }))
}

func (m meter) gauge(name, help string, value func() float64) { m.labelled(name, help, nil, value) }

func (m meter) labelled(name, help string, labels prometheus.Labels, value func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels}, value))
}

// clock tells of the clock by which days end.
func (m meter) clock(k *retention.Keeper) {
	ask := func(say func(retention.Clock) float64) func() float64 {
		return func() float64 {
			ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
			defer cancel()
			c, err := k.Clock(ctx)
			if err != nil {
				return math.NaN()
			}
			return say(c)
		}
	}
	m.gauge("qrgate_retention_clock_ahead_seconds", "How far the clock is ahead of what is known of the time; negative if it is behind.", ask(func(c retention.Clock) float64 { return c.Ahead().Seconds() }))
	m.gauge("qrgate_retention_clock_waits", "1 while the clock is not believed and nothing is dropped.", ask(func(c retention.Clock) float64 {
		if c.Waits {
			return 1
		}
		return 0
	}))
}

func (m meter) ingest(in *ingest.Ingest) {
	for _, c := range []struct {
		name, help string
		value      func(ingest.Stats) uint64
	}{
		{"qrgate_ingest_batches_total", "Batches committed.", func(s ingest.Stats) uint64 { return s.Batches }},
		{"qrgate_ingest_checkins_total", "Check-ins committed.", func(s ingest.Stats) uint64 { return s.Checkins }},
		{"qrgate_ingest_repeated_total", "Records that were held before.", func(s ingest.Stats) uint64 { return s.Repeated }},
		{"qrgate_ingest_rejected_total", "Records that became dead letters.", func(s ingest.Stats) uint64 { return s.Rejected }},
		{"qrgate_ingest_late_total", "Check-ins past their retention, dropped.", func(s ingest.Stats) uint64 { return s.Late }},
		{"qrgate_ingest_forks_total", "Batches of an epoch with two histories.", func(s ingest.Stats) uint64 { return s.Forks }},
		{"qrgate_ingest_refused_total", "Messages that did not verify.", func(s ingest.Stats) uint64 { return s.Refused }},
		{"qrgate_ingest_dropped_total", "Messages that found no room, or of which one kiosk sent too many at once; they come again.", func(s ingest.Stats) uint64 { return s.Dropped }},
		{"qrgate_ingest_failed_total", "Batches that no transaction could take.", func(s ingest.Stats) uint64 { return s.Failed }},
		{"qrgate_ingest_scattered_total", "Batches that came too far ahead of others; they come again.", func(s ingest.Stats) uint64 { return s.Scattered }},
		{"qrgate_ingest_receipts_total", "Receipts signed.", func(s ingest.Stats) uint64 { return s.Receipts }},
		{"qrgate_ingest_beats_total", "Beats answered.", func(s ingest.Stats) uint64 { return s.Beats }},
		{"qrgate_ingest_commits_total", "Transactions committed.", func(s ingest.Stats) uint64 { return s.Commits }},
		{"qrgate_ingest_visits_total", "Visits by phone committed.", func(s ingest.Stats) uint64 { return s.Visits }},
		{"qrgate_ingest_visits_again_total", "Visits by phone that came again.", func(s ingest.Stats) uint64 { return s.Again }},
		{"qrgate_ingest_visits_busy_total", "Visits by phone that found a full queue.", func(s ingest.Stats) uint64 { return s.Busy }},
	} {
		m.counter(c.name, c.help, func() uint64 { return c.value(in.Stats()) })
	}
	m.gauge("qrgate_ingest_queue", "Batches that wait for a worker.", func() float64 { return float64(in.Queued()) })
	m.registry.MustRegister(lags{in})
	m.gauge("qrgate_list_version", "Version of the list of void cards that kiosks shall hold.", func() float64 {
		stamp, _ := in.Lists.Newest()
		return float64(stamp.Version)
	})
	m.gauge("qrgate_list_cards", "Cards in that list.", func() float64 {
		_, cards := in.Lists.Newest()
		return float64(cards)
	})
}

var lagDesc = prometheus.NewDesc("qrgate_ingest_lag_seconds",
	"From a scan, at the latest that it can have been, to its commit: of batches that were sent as they came (live), and of those that had waited (backlog).", []string{"batch"}, nil)

// lags are the histograms of an Ingest, which counts for itself.
type lags struct{ in *ingest.Ingest }

func (l lags) Describe(c chan<- *prometheus.Desc) { c <- lagDesc }

func (l lags) Collect(c chan<- prometheus.Metric) {
	live, backlog := l.in.Lags()
	for label, lag := range map[string]ingest.Lag{"live": live, "backlog": backlog} {
		buckets := make(map[float64]uint64, len(ingest.LagBounds))
		var below uint64
		for i, bound := range ingest.LagBounds {
			below += lag.Counts[i]
			buckets[bound.Seconds()] = below
		}
		c <- prometheus.MustNewConstHistogram(lagDesc, below+lag.Counts[len(ingest.LagBounds)], lag.Sum.Seconds(), buckets, label)
	}
}

func (m meter) broker(b *broker.Broker) {
	m.gauge("qrgate_broker_connections", "Connections to the embedded broker, whether or not they have said who they are.", func() float64 { return float64(b.Stats().Connections) })
	m.gauge("qrgate_broker_clients", "Clients connected to the embedded broker.", func() float64 { return float64(b.Stats().Clients) })
	m.gauge("qrgate_broker_retained", "Messages that the embedded broker holds for who comes later.", func() float64 { return float64(b.Stats().Retained) })
	m.counter("qrgate_broker_in_total", "Messages received by the embedded broker.", func() uint64 { return uint64(b.Stats().In) })
	m.counter("qrgate_broker_out_total", "Messages sent by the embedded broker.", func() uint64 { return uint64(b.Stats().Out) })
	m.counter("qrgate_broker_dropped_total", "Messages for clients that were too slow.", func() uint64 { return uint64(b.Stats().Dropped) })
	m.counter("qrgate_broker_takeovers_total", "Connections that another of the same name ended.", func() uint64 { return uint64(b.Stats().Takeovers) })
	for what, value := range map[string]func(broker.Stats) int64{
		"limit": func(s broker.Stats) int64 { return s.RefusedLimit }, "tls": func(s broker.Stats) int64 { return s.RefusedTLS },
		"connect": func(s broker.Stats) int64 { return s.RefusedConnect }, "publish": func(s broker.Stats) int64 { return s.RefusedPublish },
		"subscribe": func(s broker.Stats) int64 { return s.RefusedSubscribe },
	} {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "qrgate_broker_refused_total", Help: "What the embedded broker refused: connections over a limit, handshakes, and what clients wanted.",
			ConstLabels: prometheus.Labels{"what": what},
		}, func() float64 { return float64(value(b.Stats())) }))
	}
}

func (m meter) store(s *store.Store) {
	asked := func(name, help string, ask func(ctx context.Context) (float64, error)) {
		m.gauge(name, help+" -1 if the database does not answer.", func() float64 {
			ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
			defer cancel()
			v, err := ask(ctx)
			if err != nil {
				return -1
			}
			return v
		})
	}
	asked("qrgate_gaps", "Epochs that miss records.", func(ctx context.Context) (float64, error) {
		gaps, err := s.Gaps(ctx, time.Now())
		return float64(len(gaps)), err
	})
	asked("qrgate_store_bytes", "Size of the database.", func(ctx context.Context) (float64, error) {
		n, err := s.Size(ctx)
		return float64(n), err
	})
	asked("qrgate_backup_verified_timestamp_seconds", "When the newest backup that was read back, with copies of all its keys, was made; 0 if there is none.", func(ctx context.Context) (float64, error) {
		all, err := s.Backups(ctx)
		for _, b := range all {
			if !b.Verified.IsZero() {
				return unixSeconds(b.Made), err
			}
		}
		return 0, err
	})
}

// files tells of what lies beside the database.
func (m meter) files(w watched) {
	m.gauge("qrgate_state_free_bytes", "Free on the disk of the state folder.", func() float64 {
		var fs unix.Statfs_t
		if err := unix.Statfs(w.config.State, &fs); err != nil {
			return -1
		}
		return float64(fs.Bavail) * float64(fs.Bsize)
	})
	ends := func(which string, end func() float64) {
		m.labelled("qrgate_certificate_end_timestamp_seconds", "When a certificate ends; the broker's and the server's own are renewed by themselves.", prometheus.Labels{"certificate": which}, end)
	}
	ends("ca", func() float64 { return unixSeconds(w.ca.End()) })
	ends("broker", func() float64 { return unixSeconds(w.cert.End()) })
	if path := w.config.Certificate; path != "" {
		ends("portal", func() float64 {
			end, err := certificateEnd(path)
			if err != nil {
				return math.NaN()
			}
			return unixSeconds(end)
		})
	}
}

// certificateEnd returns when the first certificate of a PEM file ends.
func certificateEnd(path string) (time.Time, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return time.Time{}, err
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return time.Time{}, fmt.Errorf("%s holds no certificate", path)
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return time.Time{}, err
	}
	return c.NotAfter, nil
}

func unixSeconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}
