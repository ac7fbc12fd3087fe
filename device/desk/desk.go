package desk

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/qrgate/qrgate/hw/scan"
	"github.com/qrgate/qrgate/sync/pairing"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/seal"
	"github.com/qrgate/qrgate/sync/wire"
)

// Times of a line.
const (
	beatEvery = 12 * time.Second
	oneAnswer = 10 * time.Second
	retryIn   = 2 * time.Second
	keptFor   = time.Minute // that a code waits for the network or for the clerk
	tellAgain = time.Minute // that something is wrong
)

// A Word is what there is to be said to whoever sits at the desk.
type Word string

// The words.
const (
	Waiting   Word = "waiting"   // for the code on the clerk's screen
	Joined    Word = "joined"    // to the clerk's page
	Sent      Word = "sent"      // one code
	NotSent   Word = "not sent"  // one code, which is forgotten
	Unread    Word = "unread"    // one code that cannot be one
	Untaken   Word = "untaken"   // the page has not taken the codes before
	Again     Word = "again"     // the network is back
	NoNetwork Word = "offline"   // it is tried again
	Untrusted Word = "untrusted" // the server's certificate is not believed
	Stranger  Word = "stranger"  // not the server that the code names
	Used      Word = "used"      // another computer has the code
	Parted    Word = "parted"    // the clerk's page has ended it, or nobody looks
	TooOld    Word = "too old"   // the code was good for nothing any more
)

// Options are the optional parts of a desk.
type Options struct {
	Say    func(Word)       // default: nothing is said
	Roots  *x509.CertPool   // that vouch for the server's certificate; default those of this computer
	Now    func() time.Time // default time.Now
	Client *http.Client     // default one of its own
}

// A Desk sends scans to a page. It is for one Run.
type Desk struct {
	o  Options
	me [16]byte
	no uint64

	server *pairing.Code // whose page had the desk first: a visitor's code leads to no other
}

// New returns a desk that has no page yet.
func New(o Options) *Desk {
	if o.Say == nil {
		o.Say = func(Word) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Client == nil {
		o.Client = client(o.Roots)
	}
	d := &Desk{o: o}
	rand.Read(d.me[:])
	return d
}

func client(roots *x509.CertPool) *http.Client {
	t := &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}, Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: oneAnswer}
	return &http.Client{Transport: t, Timeout: oneAnswer, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// ErrCode means that a code is not one for a desk, or leads to a server that is not
// asked over TLS.
var ErrCode = errors.New("desk: not the code of a clerk's page")

// Check returns an error unless code is one for a desk.
func Check(code string) (pairing.Code, error) {
	c, err := pairing.ParseDesk(strings.ToUpper(strings.TrimSpace(code)))
	if err != nil {
		return c, fmt.Errorf("%w: %w", ErrCode, err)
	}
	u, err := url.Parse(c.Address)
	if err != nil || u.Scheme != "https" && !loopback(u.Hostname()) {
		return c, fmt.Errorf("%w: the portal's address is not https", ErrCode)
	}
	return c, nil
}

// loopback reports whether what is sent to a host stays on this machine.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// Run sends what source reads to the page of the code, and then of each further code
// that the scanner reads from a clerk's screen, until ctx ends. Without a code the
// first comes from the scanner. Once a page has had the desk, only codes of the same
// server are followed: a visitor may hold up what looks like a clerk's screen.
func (d *Desk) Run(ctx context.Context, source scan.Source, code ...pairing.Code) error {
	scans := make(chan scan.Scan)
	failed := make(chan error, 1)
	reading, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	defer func() { stop(); <-ended }()
	go func() {
		defer close(ended)
		for {
			s, err := source.Next(reading)
			if err != nil {
				failed <- err
				return
			}
			select {
			case scans <- s:
			case <-reading.Done():
				return
			}
		}
	}()
	t := &turn{d: d, scans: scans, failed: failed, repeats: scan.NewRepeats(0)}
	if len(code) > 0 {
		t.next = &code[0]
	}
	for {
		err := t.wait(ctx)
		if err == nil {
			err = t.serve(ctx)
		}
		switch {
		case ctx.Err() != nil, errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("desk: %w", err)
		}
	}
}

// A turn is from one code to the next.
type turn struct {
	d       *Desk
	scans   <-chan scan.Scan
	failed  <-chan error
	repeats *scan.Repeats
	next    *pairing.Code
}

// wait returns once there is a code.
func (t *turn) wait(ctx context.Context) error {
	if t.next != nil {
		return nil
	}
	t.d.o.Say(Waiting)
	for t.next == nil {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-t.failed:
			return err
		case s := <-t.scans:
			if c, err := Check(s.Text); err == nil {
				t.follow(c)
			} else if _, seen := t.repeats.Seen(s.Text, s.At); !seen {
				t.d.o.Say(Waiting)
			}
		}
	}
	return nil
}

// serve sends scans to the page of the code until it ends or the scanner reads another
// code.
func (t *turn) serve(ctx context.Context) error {
	l := &line{d: t.d, code: *t.next}
	t.next = nil
	t.repeats = scan.NewRepeats(0) // what was read before went nowhere
	if !l.join(ctx) {
		return ctx.Err()
	}
	t.d.server = &l.code
	defer l.part(ctx)
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	for {
		more := true
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-t.failed:
			return err
		case <-beat.C:
			more = l.beat(ctx)
		case s := <-t.scans:
			if pairing.IsDesk(strings.ToUpper(s.Text)) {
				if c, err := Check(s.Text); err == nil && c != l.code && t.follow(c) {
					return nil
				}
				continue
			}
			if _, seen := t.repeats.Seen(s.Text, s.At); seen {
				continue // still before the scanner
			}
			if more = l.carry(ctx, s.Text); !more {
				t.repeats.Forget(s.Text)
			}
		}
		if !more {
			return ctx.Err()
		}
	}
}

// follow takes a code for the next one, and reports whether it is of the server that the
// desk has had.
func (t *turn) follow(c pairing.Code) bool {
	if s := t.d.server; s != nil && (c.Address != s.Address || c.Fingerprint != s.Fingerprint) {
		t.d.o.Say(Stranger)
		return false
	}
	t.next = &c
	return true
}

// Errors of one message.
var (
	errEnded   = errors.New("the line has ended")
	errTaken   = errors.New("another computer has the line")
	errUntaken = errors.New("the page has not taken what came before")
)

// A line leads to one page.
type line struct {
	d      *Desk
	code   pairing.Code
	sealer *seal.Sealer
	said   Word // of what is wrong
	saidAt time.Time
	gone   bool
}

// join asks the server who it is and says that the desk is there, as often as it takes.
// It reports whether the page has the desk.
func (l *line) join(ctx context.Context) bool {
	for {
		err := l.hello(ctx)
		if err == nil {
			err = l.send(ctx, pairing.DeskScan{})
		}
		switch {
		case err == nil:
			l.said = ""
			l.d.o.Say(Joined)
			return true
		case errors.Is(err, errEnded):
			l.gone = true
			l.d.o.Say(TooOld)
			return false
		case errors.Is(err, errTaken):
			l.gone = true
			l.d.o.Say(Used)
			return false
		case errors.Is(err, wire.ErrSignature):
			l.gone = true
			l.d.o.Say(Stranger)
			return false
		}
		if l.wrong(err); !pause(ctx, retryIn) {
			return false
		}
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// wrong says what keeps the line from working, now and then.
func (l *line) wrong(err error) {
	word := NoNetwork
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &authority), errors.As(err, &name), errors.As(err, &invalid):
		word = Untrusted
	case errors.Is(err, errUntaken):
		word = Untaken
	}
	if now := l.d.o.Now(); word != l.said || now.Sub(l.saidAt) > tellAgain {
		l.said, l.saidAt = word, now
		l.d.o.Say(word)
	}
}

// right says that it works again.
func (l *line) right() {
	if l.said != "" {
		l.said = ""
		l.d.o.Say(Again)
	}
}

// hello learns the server's keys, which the code's fingerprint vouches for.
func (l *line) hello(ctx context.Context) error {
	if l.sealer != nil {
		return nil
	}
	status, body, err := l.d.ask(ctx, http.MethodGet, l.code.Address+wire.HelloPath, nil)
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return fmt.Errorf("desk: hello: status %d", status)
	}
	server, err := l.code.Hello(body)
	if err != nil {
		return err
	}
	l.sealer, err = server.DeskSealer(l.d.o.Now())
	return err
}

// send sends one message, once.
func (l *line) send(ctx context.Context, s pairing.DeskScan) error {
	if s.No == 0 {
		l.d.no++
		s.No = l.d.no
	}
	s.Desk = l.d.me
	body, err := l.code.SealDesk(l.sealer, l.d.o.Now(), s)
	if err != nil {
		return err
	}
	status, _, err := l.d.ask(ctx, http.MethodPost, l.code.Address+pairing.DeskPath, body)
	switch {
	case err != nil:
		return err
	case status == http.StatusNoContent:
		return nil
	case status == http.StatusGone:
		return errEnded
	case status == http.StatusConflict:
		return errTaken
	case status == http.StatusTooManyRequests:
		return errUntaken
	}
	return fmt.Errorf("desk: status %d", status)
}

// maxAnswer is more than any answer.
const maxAnswer = wire.MaxEnrol

func (d *Desk) ask(ctx context.Context, method, address string, body []byte) (int, []byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Content-Type", "application/cbor")
	resp, err := d.o.Client.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	return resp.StatusCode, answer, err
}

// over says that the line has ended, and reports whether err means that.
func (l *line) over(err error) bool {
	if !errors.Is(err, errEnded) && !errors.Is(err, errTaken) {
		return false
	}
	l.gone = true
	l.d.o.Say(Parted)
	return true
}

// beat says that the desk is there. It reports whether the line goes on.
func (l *line) beat(ctx context.Context) bool {
	err := l.send(ctx, pairing.DeskScan{})
	switch {
	case err == nil:
		l.right()
	case ctx.Err() != nil || l.over(err):
		return false
	default:
		l.wrong(err)
	}
	return true
}

// carry sends what was read, again and again for a minute. It reports whether the line
// goes on.
func (l *line) carry(ctx context.Context, text string) bool {
	if text == "" || len(text) > pass.MaxText {
		l.d.o.Say(Unread)
		return true
	}
	l.d.no++
	s := pairing.DeskScan{No: l.d.no, Text: text}
	for until := l.d.o.Now().Add(keptFor); ; {
		err := l.send(ctx, s)
		switch {
		case err == nil:
			l.right()
			l.d.o.Say(Sent)
			return true
		case ctx.Err() != nil || l.over(err):
			return false
		}
		l.wrong(err)
		if l.d.o.Now().After(until) {
			l.d.o.Say(NotSent)
			return true
		}
		if !pause(ctx, retryIn) {
			return false
		}
	}
}

// goodbye is how long the last word may take.
const goodbye = 2 * time.Second

// part tells the page that the desk goes, so that it need not wonder.
func (l *line) part(ctx context.Context) {
	if l.gone {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
	defer cancel()
	_ = l.send(ctx, pairing.DeskScan{Bye: true}) // else it hears nothing, and says so a little later
}
