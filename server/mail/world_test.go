package mail_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/qrgate/qrgate/server/mail"
)

// A post is a real mail server on this machine, which asks for a password over
// TLS and keeps what it gets.
type post struct {
	t        *testing.T
	roots    *x509.CertPool
	tls      *tls.Config
	security mail.Security
	address  string
	got      chan letter

	mu     sync.Mutex
	server *smtp.Server
	listen net.Listener
	from   func() error           // answer to MAIL
	rcpt   func(to string) error  // answer to RCPT
	cut    func(to string) bool   // break off instead of answering DATA
	leave  bool                   // break off once a letter is accepted
	said   map[string]int         // RCPT commands for each address
	hang   func() <-chan struct{} // not to answer DATA until then
}

type letter struct {
	from, to, data string
}

func newPost(t *testing.T, security mail.Security) *post {
	t.Helper()
	p := &post{t: t, security: security, got: make(chan letter, 1000), said: make(map[string]int)}
	p.roots, p.tls = certificate(t)
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	p.address = l.Addr().String()
	p.serve(l)
	t.Cleanup(p.stop)
	return p
}

func (p *post) serve(l net.Listener) {
	s := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		return &session{post: p, conn: c, in: p.security == mail.None}, nil
	}))
	s.Domain = "localhost"
	s.ErrorLog = quiet{}
	switch p.security {
	case mail.TLS:
		l = tls.NewListener(l, p.tls)
	case mail.StartTLS:
		s.TLSConfig = p.tls
	}
	p.mu.Lock()
	p.server, p.listen = s, l
	p.mu.Unlock()
	go s.Serve(l)
}

// stop is a server that is down: nobody listens.
func (p *post) stop() {
	p.mu.Lock()
	s, l := p.server, p.listen
	p.mu.Unlock()
	l.Close() // which the server does not know yet if it has just been started
	s.Close()
}

func (p *post) start() {
	p.t.Helper()
	l, err := net.Listen("tcp", p.address)
	if err != nil {
		p.t.Fatal(err)
	}
	p.serve(l)
}

func (p *post) config() mail.Config {
	_, port, err := net.SplitHostPort(p.address)
	if err != nil {
		p.t.Fatal(err)
	}
	n, err := net.LookupPort("tcp", port)
	if err != nil {
		p.t.Fatal(err)
	}
	c := mail.Config{
		Host: "localhost", Port: n, Security: p.security, Roots: p.roots,
		From: "khong-tra-loi@qr.hue.example", FromName: "QR Huế", Timeout: 10 * time.Second,
	}
	if p.security != mail.None {
		c.User, c.Password = "qrgate", "bí mật"
	}
	return c
}

// next waits for a letter.
func (p *post) next() letter {
	p.t.Helper()
	select {
	case l := <-p.got:
		return l
	case <-time.After(30 * time.Second):
		p.t.Fatal("no letter comes")
		return letter{}
	}
}

type session struct {
	post     *post
	conn     *smtp.Conn
	in       bool
	from, to string
}

func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != "qrgate" || password != "bí mật" {
			return smtp.ErrAuthFailed
		}
		s.in = true
		return nil
	}), nil
}

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	if !s.in {
		return smtp.ErrAuthRequired
	}
	s.post.mu.Lock()
	defer s.post.mu.Unlock()
	s.from = from
	if s.post.from != nil {
		return s.post.from()
	}
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.post.mu.Lock()
	defer s.post.mu.Unlock()
	s.to = to
	s.post.said[to]++
	if s.post.rcpt != nil {
		return s.post.rcpt(to)
	}
	return nil
}

func (s *session) Data(r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.post.mu.Lock()
	cut, hang := s.post.cut, s.post.hang
	s.post.mu.Unlock()
	if cut != nil && cut(s.to) {
		s.conn.Close()
		return errors.New("cut")
	}
	if hang != nil {
		<-hang()
	}
	s.post.got <- letter{s.from, s.to, string(data)}
	return nil
}

// Reset is called when the answer to DATA is on its way.
func (s *session) Reset() {
	s.post.mu.Lock()
	defer s.post.mu.Unlock()
	if s.post.leave {
		s.conn.Conn().Close()
	}
}

func (s *session) Logout() error { return nil }

type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}

// A diary is what was logged.
type diary struct {
	mu      sync.Mutex
	buf     bytes.Buffer
	written chan struct{} // has something after each line
}

func newDiary() *diary { return &diary{written: make(chan struct{}, 1)} }

func (d *diary) Write(b []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	select {
	case d.written <- struct{}{}:
	default:
	}
	return d.buf.Write(b)
}

// wait returns once text was logged.
func (d *diary) wait(t *testing.T, text string) {
	t.Helper()
	late := time.After(30 * time.Second)
	for !strings.Contains(d.String(), text) {
		select {
		case <-d.written:
		case <-late:
			t.Fatalf("nobody logs %q:\n%s", text, d)
		}
	}
}

func (d *diary) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.buf.String()
}

// quick tries again soon, so that tests end soon.
var quick = mail.Options{Retry: time.Millisecond, RetryMax: 20 * time.Millisecond}

// newSender returns a sender that runs, and a function that stops it and waits.
func newSender(t *testing.T, c mail.Config, o mail.Options) (s *mail.Sender, log *diary, stop func()) {
	t.Helper()
	log = newDiary()
	s, err := mail.New(c, slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := s.Run(ctx); err != nil {
			t.Errorf("Run = %v", err)
		}
	}()
	stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(stop)
	return s, log, stop
}

func send(t *testing.T, s *mail.Sender, to string) {
	t.Helper()
	if err := s.Send(mail.Message{To: to, Subject: "Đặt lại mật khẩu", Text: "Xin chào\n"}); err != nil {
		t.Fatalf("Send to %s = %v", to, err)
	}
}

// certificate returns one for localhost, and what trusts it.
func certificate(t *testing.T) (*x509.CertPool, *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	return roots, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}
