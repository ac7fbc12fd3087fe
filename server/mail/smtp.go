package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"time"

	"github.com/wneessen/go-mail"
)

// Security is how the connection to the mail server is protected.
type Security string

// The kinds of Security.
const (
	TLS      Security = "tls"      // from the first byte; port 465
	StartTLS Security = "starttls" // before anything is said; port 587
	None     Security = "none"     // for a server on this machine; port 25
)

// A Config says how to reach the mail server.
type Config struct {
	Host     string
	Port     int      // default by Security
	Security Security // default StartTLS
	User     string   // "" to send without signing in
	Password string
	From     string         // address
	FromName string         // as people see it; may be empty
	Timeout  time.Duration  // for connecting, and again for each step; default 30 s
	Roots    *x509.CertPool // trusted instead of the system's if not nil
}

func (c Config) check() (Config, error) {
	if c.Host == "" {
		return c, errors.New("mail: no host")
	}
	if c.Security == "" {
		c.Security = StartTLS
	}
	port, ok := map[Security]int{TLS: 465, StartTLS: 587, None: 25}[c.Security]
	if !ok {
		return c, fmt.Errorf("mail: security %q: want %q, %q or %q", c.Security, TLS, StartTLS, None)
	}
	if c.Port == 0 {
		c.Port = port
	}
	if c.Port < 1 || c.Port > 65535 {
		return c, fmt.Errorf("mail: port %d", c.Port)
	}
	if c.User != "" && c.Security == None {
		return c, errors.New("mail: a password needs a connection with tls or starttls")
	}
	from, err := Address(c.From)
	if err != nil {
		return c, fmt.Errorf("mail: from %q: %w", c.From, err)
	}
	c.From = from
	if c.FromName != "" {
		if err := line(c.FromName); err != nil {
			return c, fmt.Errorf("mail: name of the sender: %w", err)
		}
	}
	if c.Timeout <= 0 {
		c.Timeout = 30 * time.Second
	}
	return c, nil
}

// client returns a client that connects by dial.
func (c Config) client(dial mail.DialContextFunc) (*mail.Client, error) {
	options := []mail.Option{
		mail.WithPort(c.Port),
		mail.WithTimeout(c.Timeout),
		mail.WithTLSConfig(c.tls()),
		mail.WithDialContextFunc(dial),
	}
	switch c.Security {
	case TLS:
		options = append(options, mail.WithSSL())
	case StartTLS:
		options = append(options, mail.WithTLSPolicy(mail.TLSMandatory))
	case None:
		options = append(options, mail.WithTLSPolicy(mail.NoTLS))
	}
	if c.User != "" {
		options = append(options, mail.WithUsername(c.User), mail.WithPassword(c.Password),
			mail.WithOpportunisticSMTPAuth(mail.SMTPAuthSCRAMSHA256, mail.SMTPAuthPlain, mail.SMTPAuthLogin))
	}
	return mail.NewClient(c.Host, options...)
}

func (c Config) tls() *tls.Config {
	return &tls.Config{ServerName: c.Host, RootCAs: c.Roots, MinVersion: tls.VersionTLS12}
}

// deliver hands one letter to the server on a connection of its own.
func (c Config) deliver(ctx context.Context, l *letter) error {
	// The library leaves connections open on which the greeting or the
	// password fails, and does not end with ctx once it is connected.
	var conn net.Conn
	defer func() {
		if conn != nil {
			conn.Close()
		}
	}()
	client, err := c.client(func(ctx context.Context, network, address string) (net.Conn, error) {
		var err error
		if c.Security == TLS {
			conn, err = (&tls.Dialer{Config: c.tls()}).DialContext(ctx, network, address)
		} else {
			conn, err = (&net.Dialer{}).DialContext(ctx, network, address)
		}
		if err != nil {
			conn = nil
		}
		return conn, err
	})
	if err != nil {
		return err
	}
	m := c.message(l)
	smtp, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	err = client.SendWithSMTPClient(smtp, m)
	if m.IsDelivered() {
		// The server has said that it has the letter. However the rest of the
		// conversation ends, it must not get it again.
		_ = client.CloseWithSMTPClient(smtp)
		return nil
	}
	var answer *mail.SendError
	if !errors.As(err, &answer) {
		return err
	}
	// Only reason and code are kept: the text names the recipient.
	switch code := answer.ErrorCode(); {
	case answer.Reason == mail.ErrSMTPMailFrom:
		// About us, for instance that we are to sign in, and no fault of this
		// letter.
		return fmt.Errorf("%s: %d", answer.Reason, code)
	case code >= 500:
		return &refused{code: code, step: answer.Reason.String()}
	case code >= 400:
		return &refused{code: code, step: answer.Reason.String(), forNow: true}
	}
	return &broken{step: answer.Reason.String()}
}

func (c Config) message(l *letter) *mail.Msg {
	m := mail.NewMsg(mail.WithNoDefaultUserAgent())
	m.FromMailAddress(&netmail.Address{Name: c.FromName, Address: c.From})
	m.ToMailAddress(&netmail.Address{Address: l.To})
	m.Subject(l.Subject)
	m.SetDateWithValue(l.accepted)
	m.SetMessageIDWithValue(l.id)
	// Nobody is there to read an out-of-office note.
	m.SetGenHeader("Auto-Submitted", "auto-generated")
	m.SetBodyString(mail.TypeTextPlain, l.Text)
	return m
}

// A refused error is the server's answer to one letter.
type refused struct {
	code   int
	step   string
	forNow bool
}

func (e *refused) Error() string { return fmt.Sprintf("%s: %d", e.step, e.code) }

// A broken error is a connection that ended while a letter was handed over.
type broken struct{ step string }

func (e *broken) Error() string { return e.step + ": connection broke" }
