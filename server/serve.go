package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/qrgate/qrgate/server/broker"
	"github.com/qrgate/qrgate/server/doors"
	"github.com/qrgate/qrgate/server/enrol"
	"github.com/qrgate/qrgate/server/ingest"
	"github.com/qrgate/qrgate/server/lists"
	"github.com/qrgate/qrgate/server/mail"
	"github.com/qrgate/qrgate/server/movement"
	"github.com/qrgate/qrgate/server/portal"
	"github.com/qrgate/qrgate/server/portal/cases"
	"github.com/qrgate/qrgate/server/portal/live"
	"github.com/qrgate/qrgate/server/retention"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/events"
	"github.com/qrgate/qrgate/server/store/flows"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/server/store/rooms"
	"github.com/qrgate/qrgate/server/store/void"
	"github.com/qrgate/qrgate/server/vault"
	"github.com/qrgate/qrgate/sync/mqttlink"
	"github.com/qrgate/qrgate/sync/seal"
	"github.com/qrgate/qrgate/sync/wire"
)

// feedSize is how many check-ins the live page shows.
const feedSize = 50

// shutdownTimeout is how long pages may take to end.
const shutdownTimeout = 5 * time.Second

// serve takes check-ins until ctx ends: what has been received is committed and
// answered before the link and the broker end.
func serve(ctx context.Context, env environment) error {
	c, log := env.config, env.log
	master, keys, ca, err := loadKeys(c)
	if err != nil {
		return err
	}
	s, err := store.Open(ctx, c.Store, store.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	days, err := openVault(c, master, s)
	if err != nil {
		return err
	}
	cert, err := writeTLS(c, ca)
	if err != nil {
		return err
	}
	configured, err := newCourier(ctx, env, keys, s)
	if err != nil {
		return err
	}
	guard, err := newGuards(env, s, keys, days)
	if err != nil {
		return err
	}
	in, link, ready, err := newIngest(ctx, env, keys, ca, days, s, guard.keeper, configured.Up)
	if err != nil {
		return err
	}
	in.Beats = append(in.Beats, configured.Beat)
	ordering := newOrders(env, keys, s, in)
	enrolling := newEnrolling(env, keys, ca, s, in, master.Derive("enrolment tokens"))
	embedded, err := newBroker(env, ca, cert, s)
	if err != nil {
		return err
	}
	reg := register.New(s, time.Now)
	// The database may have been restored: nothing of what is past its end can be
	// read any more before anybody is listened to.
	if err := guard.keeper.Start(ctx); err != nil {
		return err
	}
	if err := enrolling.keep(ctx); err != nil {
		return err
	}
	letters, err := newMail(env)
	if err != nil {
		return err
	}
	looking := newHealth(s, in, ready, letters, c.PortalURL, master.Derive("fleet alarm posts"), log)
	looking.ear.Cloned = enrolling.rows.SawClone
	newer, err := newUpdates(env, s, in)
	if err != nil {
		return err
	}
	issued, err := newIssuance(env, s, keys)
	if err != nil {
		return err
	}
	pages, err := portal.New(portal.Parts{
		Store: s, Register: reg, Vault: days, Desk: in, Carry: carrier{in, keys.Signed(), configured}, Feed: in.Feed, Key: master.Derive, Log: log.With("task", "portal"),
		Enrolment:  enrolling.pages(),
		Releases:   newer.pages,
		Orders:     ordering,
		Fleet:      looking.pages(letters != nil),
		Protection: &portal.Protection{Rights: guard.rights, Keeper: guard.keeper, Sealer: guard.sealer},
		Cards:      &issued.cards,
	}, portalOptions(c, letters, ready, s))
	if err != nil {
		return err
	}
	if !env.roles.portal {
		c.Portal, c.Redirect = "", ""
	}
	listeners, err := listen(c)
	if err != nil {
		return err
	}
	secured, err := secure(listeners[0], c)
	if err != nil {
		return err // and the program ends, with what was opened
	}

	// Each of these ends what the one after it still needs.
	linkCtx, stopLink := context.WithCancel(context.WithoutCancel(ctx))
	defer stopLink()
	brokerCtx, stopBroker := context.WithCancel(context.WithoutCancel(ctx))
	defer stopBroker()
	tasks, ctx := errgroup.WithContext(ctx)
	tasks.Go(func() error { defer stopLink(); return in.Run(ctx) })
	tasks.Go(func() error { return in.Lists.Run(ctx) })
	tasks.Go(func() error { return enrolling.desk.Run(ctx) })
	tasks.Go(func() error { return enrolling.keepOn(ctx) })
	looking.start(ctx, tasks)
	tasks.Go(func() error { return in.Doors.Run(ctx) })
	if ordering != nil {
		tasks.Go(func() error { return ordering.Run(ctx) })
	}
	tasks.Go(func() error { return configured.Run(ctx, link) })
	tasks.Go(func() error { defer stopBroker(); return link.Run(linkCtx) })
	if embedded != nil {
		tasks.Go(func() error { return embedded.Run(brokerCtx) })
		tasks.Go(func() error { return spareMemory(ctx) })
		tasks.Go(func() error { return enrolling.disconnectRevoked(ctx, embedded) })
	} else {
		tasks.Go(func() error { return enrolling.keepOut(ctx, ca) })
	}
	issued.start(ctx, tasks)
	if secured != nil {
		tasks.Go(func() error { return serveHTTP(ctx, secured, pages) })
		tasks.Go(func() error { return pages.Watch(ctx) })
	}
	if listeners[1] != nil {
		tasks.Go(func() error {
			return serveHTTP(ctx, listeners[1], metrics(watched{
				config: c, ingest: in, broker: embedded, store: s, ready: ready, ca: ca, cert: cert, keeper: guard.keeper, mail: letters, more: []prometheus.Collector{looking},
			}))
		})
	}
	if listeners[2] != nil {
		tasks.Go(func() error { return serveHTTP(ctx, listeners[2], pages) }) // which send on what comes in clear
	}
	tasks.Go(func() error { return newer.job.Run(ctx) })
	tasks.Go(func() error { return guard.keeper.Run(ctx) })
	if c.KeyCopies == "" { // as in settings of before there were any
		log.Warn("the keys of days have no copies, so that kiosks forget nothing by a backup; name a folder", "setting", "keys in [retention]", "file", env.path)
	}
	tasks.Go(func() error { return guard.sealer.Run(ctx) })
	counting := movement.Job{Rows: movement.Without(s, guard.keeper.Unused), Keeper: flows.New(s, time.Now), Now: time.Now, Log: log.With("task", "movement")}
	tasks.Go(func() error { return counting.Run(ctx) })
	if letters != nil {
		tasks.Go(func() error { return letters.Run(ctx) })
	}
	log.Info("serving", "version", version, "roles", env.roles.String(), "portal", c.Portal, "metrics", c.Metrics, "broker", c.BrokerURL, "embedded", embedded != nil)
	return tasks.Wait()
}

// newBroker returns the embedded broker, or nil if another one serves kiosks.
func newBroker(env environment, ca *enrol.CA, cert *enrol.ServerCertificate, s *store.Store) (*broker.Broker, error) {
	if env.config.Broker == "" || !env.roles.ingest {
		return nil, nil
	}
	return broker.New(env.config.Broker, broker.TLS{Certificate: cert.Certificate, Clients: ca.Pool()}, s, broker.Options{
		Takeover: func(id string) { env.log.Warn("a second connection under one name ended the first", "name", id) },
		Log:      env.log.With("task", "broker"),
	})
}

// portalOptions are what the configuration says of the portal. It is ready while there
// is a broker and a database.
func portalOptions(c Config, letters *mail.Sender, linked *atomic.Bool, s *store.Store) portal.Options {
	o := portal.Options{
		Base: c.PortalURL, HelpLine: c.HelpLine, Controller: c.Controller, Proxies: c.Proxies, Retention: c.Retention,
		Providers: c.Providers, Live: live.Options{Open: c.LiveOpen},
		Ready: func(ctx context.Context) error {
			if !linked.Load() {
				return errors.New("no connection to the broker")
			}
			if s.Healthy(ctx) != nil {
				return errors.New("no database") // anybody may ask, and the driver's words name hosts and users
			}
			return nil
		},
	}
	if letters != nil {
		o.Mail = letters
		if c.SMS != "" {
			o.Text = cases.MailGateway{Mail: letters, Address: c.SMS}
		}
	}
	return o
}

// newIngest wires what takes check-ins in. The flag says whether its link is
// connected; up is told each time that it is, and must not wait.
func newIngest(ctx context.Context, env environment, keys *enrol.Keys, ca *enrol.CA, days *vault.Vault, s *store.Store, keeper *retention.Keeper, up func()) (*ingest.Ingest, *mqttlink.Link, *atomic.Bool, error) {
	c := env.config
	doubt := func() error { return keeper.Doubt(ctx) }
	parts, err := newParts(env, keys, days, s, doubt)
	if err != nil {
		return nil, nil, nil, err
	}
	tlsConfig, err := ca.LinkTLS(c.Client, c.serverName(), time.Now)
	if err != nil {
		return nil, nil, nil, err
	}
	recent, err := s.Recent(ctx, feedSize)
	if err != nil {
		return nil, nil, nil, err
	}
	ready := new(atomic.Bool)
	var link *mqttlink.Link
	link, err = mqttlink.New(mqttlink.Options{
		URL: c.BrokerURL, ClientID: c.Client, TLS: tlsConfig, InFlight: 1024, Queue: 4096, Backoff: 100 * time.Millisecond, MaxBackoff: 2 * time.Second,
		OnUp: func(ctx context.Context) {
			ready.Store(true)
			up()
			publishKeys(ctx, env, s, link, keys.Signed())
		},
		OnDown: func(error) { ready.Store(false) },
		Log:    env.log.With("task", "link"),
	})
	if err != nil {
		return nil, nil, nil, err
	}
	parts.Link, parts.Feed = link, ingest.NewFeed(recent)
	in, err := ingest.New(parts, ingest.Options{
		Workers: c.Workers, Retention: c.Retention, Server: c.Client, Deaf: !env.roles.ingest,
		Doubt: doubt, Log: env.log.With("task", "ingest"),
	})
	return in, link, ready, err
}

// newParts returns what opens batches, answers them and says what goes beside the
// answers; a link and a feed are still to come.
func newParts(env environment, keys *enrol.Keys, days *vault.Vault, s *store.Store, doubt func() error) (ingest.Parts, error) {
	seals, err := keys.Seals()
	if err != nil {
		return ingest.Parts{}, err
	}
	opener, err := seal.NewOpener(seals)
	if err != nil {
		return ingest.Parts{}, err
	}
	id, key, err := keys.Signer(wire.ForReceipt, time.Now())
	if err != nil {
		return ingest.Parts{}, err
	}
	sign := wire.Signer{ID: id, Key: key}
	return ingest.Parts{
		Store: s, Vault: days, Opener: opener, Sign: sign,
		Lists: lists.New(void.New(s, time.Now), sign, lists.Options{Doubt: doubt, Log: env.log.With("task", "lists")}),
		Doors: doors.New(s, events.New(s, days, time.Now), rooms.New(s, time.Now), sign, doors.Options{Log: env.log.With("task", "doors")}),
	}, nil
}

// publishKeys leaves the list of keys with the broker for every kiosk. An
// embedded broker forgets it when it ends.
func publishKeys(ctx context.Context, env environment, s *store.Store, link *mqttlink.Link, signed []byte) {
	kiosks, err := s.ActiveKiosks(ctx)
	if err != nil {
		env.log.Warn("kiosks not listed", "err", err)
		return
	}
	for _, id := range kiosks {
		if err := link.Publish(ctx, wire.Topic(id, wire.DownKeys), signed, true); err != nil {
			if ctx.Err() == nil {
				env.log.Warn("list of keys not published", "kiosk", id, "err", err)
			}
			return // with the next connection
		}
	}
}

// writeTLS makes the broker's certificate and, for an external broker, the
// files that its configuration names; see package broker.
func writeTLS(c Config, ca *enrol.CA) (*enrol.ServerCertificate, error) {
	if err := os.MkdirAll(c.tlsDir(), 0o700); err != nil {
		return nil, err
	}
	cert, err := ca.ServerCertificate(c.tlsDir(), c.Names, time.Now)
	if err != nil {
		return nil, err
	}
	if err := writeRevokedList(c, ca); err != nil {
		return nil, err
	}
	for name, content := range map[string][]byte{"ca.pem": ca.Certificate(), "qrgate.acl": []byte(broker.MosquittoACL(serverNames...))} {
		path := filepath.Join(c.tlsDir(), name)
		if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, content) {
			continue // a broker or a second server may be reading it
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return nil, err
		}
	}
	return cert, nil
}

// listen opens the addresses of the portal, of metrics and of what sends on to the
// portal. An empty one has no listener. An error names the setting of the address that
// cannot be opened, as when another program has it.
func listen(c Config) ([]net.Listener, error) {
	addrs := [...]struct{ setting, addr string }{{"portal.listen", c.Portal}, {"metrics.listen", c.Metrics}, {"portal.redirect", c.Redirect}}
	all := make([]net.Listener, len(addrs))
	for i, a := range addrs {
		if a.addr == "" {
			continue
		}
		l, err := net.Listen("tcp", a.addr)
		if err != nil {
			for _, open := range all[:i] {
				if open != nil {
					open.Close()
				}
			}
			return nil, fmt.Errorf("%s: %w", a.setting, err)
		}
		all[i] = l
	}
	return all, nil
}

// newMail returns what sends letters, or nil if this server sends none.
func newMail(env environment) (*mail.Sender, error) {
	if env.config.Mail == nil {
		return nil, nil
	}
	return mail.New(*env.config.Mail, env.log.With("task", "mail"), mail.Options{})
}

// secure puts TLS over the portal's listener if it has a certificate, which is
// read again when its file has changed.
func secure(l net.Listener, c Config) (net.Listener, error) {
	if c.Certificate == "" || l == nil {
		return l, nil
	}
	files := &certificateFiles{certificate: c.Certificate, key: c.Key}
	if _, err := files.get(nil); err != nil {
		return nil, fmt.Errorf("portal: %w", err)
	}
	return tls.NewListener(l, &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}, GetCertificate: files.get}), nil
}

// certificateFiles is a certificate on disk that somebody renews.
type certificateFiles struct {
	certificate, key string

	mu      sync.Mutex
	checked time.Time
	changed time.Time
	held    *tls.Certificate
}

// certificateEvery is how often the file is looked at.
const certificateEvery = time.Minute

func (f *certificateFiles) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.held != nil && time.Since(f.checked) < certificateEvery {
		return f.held, nil
	}
	f.checked = time.Now()
	info, err := os.Stat(f.certificate)
	if err == nil && (f.held == nil || !info.ModTime().Equal(f.changed)) {
		var pair tls.Certificate
		if pair, err = tls.LoadX509KeyPair(f.certificate, f.key); err == nil {
			f.held, f.changed = &pair, info.ModTime()
		}
	}
	if f.held != nil {
		return f.held, nil // the old one, while the files do not fit
	}
	return nil, err
}

// serveHTTP serves h until ctx ends, and then lets what is under way end.
func serveHTTP(ctx context.Context, l net.Listener, h http.Handler) error {
	server := &http.Server{
		Handler: patient{h, writeFor}, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 16 << 10,
		// A stream ends with the server.
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		stopped <- server.Shutdown(ctx)
	}()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("http %s: %w", l.Addr(), err)
	}
	return <-stopped
}

const (
	// writeFor is how long a client may take for a piece of an answer.
	writeFor = time.Minute
	// writeMost is how many bytes a piece has at most.
	writeMost = 64 << 10
)

// A patient handler gives an answer up once a piece of it is not taken in time. It has
// no limit for all of it: a large file on a slow line takes as long as it takes.
type patient struct {
	http.Handler
	each time.Duration
}

func (p patient) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.Handler.ServeHTTP(&pieces{ResponseWriter: w, out: http.NewResponseController(w), each: p.each}, r)
}

// pieces are an answer that is sent piece by piece.
type pieces struct {
	http.ResponseWriter
	out  *http.ResponseController
	each time.Duration
	own  bool // the handler sets deadlines itself: it is a stream
}

// Unwrap lets a [http.ResponseController] find what is not of this type.
func (p *pieces) Unwrap() http.ResponseWriter { return p.ResponseWriter }

// SetWriteDeadline is what a [http.ResponseController] calls.
func (p *pieces) SetWriteDeadline(at time.Time) error {
	p.own = true
	return p.out.SetWriteDeadline(at)
}

func (p *pieces) wait() error {
	if p.own {
		return nil
	}
	return p.out.SetWriteDeadline(time.Now().Add(p.each))
}

// WriteHeader implements [http.ResponseWriter]. An answer without a body is sent after
// its handler has returned.
func (p *pieces) WriteHeader(status int) {
	p.wait() // if it cannot be set, the client has gone
	p.ResponseWriter.WriteHeader(status)
}

// Write implements [http.ResponseWriter].
func (p *pieces) Write(b []byte) (n int, err error) {
	for {
		if err := p.wait(); err != nil {
			return n, err
		}
		piece := b[n:min(len(b), n+writeMost)]
		done, err := p.ResponseWriter.Write(piece)
		if n += done; err != nil || n == len(b) {
			return n, err
		}
	}
}
