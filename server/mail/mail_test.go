package mail_test

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	netmail "net/mail"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/qrgate/qrgate/server/mail"
	"github.com/qrgate/qrgate/server/qrgate"
)

const text = `Xin chào Trần Thị Thu,

Ai đó, có lẽ là bạn, muốn đặt lại mật khẩu. Liên kết dùng được trong một giờ:
https://qr.hue.example/reset/8C0AqzQJ6yY1mT3nW5bKcVdXfGhLpRsU
.
Somebody, probably you, wants to reset your password. The link above holds for an hour.
`

func TestLetterArrives(t *testing.T) {
	for _, security := range []mail.Security{mail.TLS, mail.StartTLS, mail.None} {
		t.Run(string(security), func(t *testing.T) {
			p := newPost(t, security)
			s, _, stop := newSender(t, p.config(), quick)
			const subject = "Đặt lại mật khẩu ở cổng QR Thừa Thiên Huế, một chủ đề dài hơn một dòng / Reset your password"
			if err := s.Send(mail.Message{To: " thu@HUE.example", Subject: subject, Text: text}); err != nil {
				t.Fatal(err)
			}
			got := p.next()
			if got.from != "khong-tra-loi@qr.hue.example" || got.to != "thu@hue.example" {
				t.Errorf("envelope from %q to %q", got.from, got.to)
			}
			m, err := netmail.ReadMessage(strings.NewReader(got.data))
			if err != nil {
				t.Fatal(err)
			}
			for name, want := range map[string]string{
				"Subject": subject, "From": `"QR Huế" <khong-tra-loi@qr.hue.example>`, "To": "<thu@hue.example>",
				"Auto-Submitted": "auto-generated",
			} {
				decoded, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get(name))
				if name == "From" {
					a, aerr := netmail.ParseAddress(m.Header.Get(name))
					if aerr != nil {
						t.Fatal(aerr)
					}
					decoded = fmt.Sprintf("%q <%s>", a.Name, a.Address)
				}
				if err != nil || decoded != want {
					t.Errorf("%s: %q, %v, want %q", name, decoded, err, want)
				}
			}
			if date, err := m.Header.Date(); err != nil || time.Since(date) > time.Minute {
				t.Errorf("Date: %v, %v", date, err)
			}
			if id := m.Header.Get("Message-ID"); !strings.HasSuffix(id, "@qr.hue.example>") {
				t.Errorf("Message-ID: %s", id)
			}
			if got := m.Header.Get("Content-Transfer-Encoding"); got != "quoted-printable" {
				t.Fatalf("Content-Transfer-Encoding: %s", got)
			}
			body, err := io.ReadAll(quotedprintable.NewReader(m.Body))
			if err != nil {
				t.Fatal(err)
			}
			if plain := strings.TrimRight(strings.ReplaceAll(string(body), "\r\n", "\n"), "\n"); plain != strings.TrimRight(text, "\n") {
				t.Errorf("text is\n%s\nwant\n%s", plain, text)
			}
			stop()
			if n := s.Waiting(); n != 0 {
				t.Errorf("%d letters wait after the only one arrived", n)
			}
		})
	}
}

func TestServerIsDown(t *testing.T) {
	p := newPost(t, mail.StartTLS)
	p.stop()
	s, log, stop := newSender(t, p.config(), quick)
	const n = 20
	for i := range n {
		send(t, s, fmt.Sprintf("nguoi%d@hue.example", i))
	}
	log.wait(t, "takes no letters")
	p.start()
	for i := range n {
		if got, want := p.next().to, fmt.Sprintf("nguoi%d@hue.example", i); got != want {
			t.Errorf("letter %d goes to %s, want %s", i, got, want)
		}
	}
	stop()
	if text := log.String(); strings.Count(text, "takes no letters") != 1 || strings.Count(text, "takes letters again") != 1 {
		t.Errorf("an outage is not said once, nor its end:\n%s", text)
	}
}

// All that a server may answer to one letter leaves the others alone.
func TestOneLetterIsRefused(t *testing.T) {
	p := newPost(t, mail.StartTLS)
	broke := false
	p.rcpt = func(to string) error {
		switch {
		case to == "moved@hue.example":
			return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no <moved@hue.example> here"}
		case to == "grey@hue.example" && p.said[to] < 4:
			return &smtp.SMTPError{Code: 450, EnhancedCode: smtp.EnhancedCode{4, 2, 0}, Message: "<grey@hue.example> is greylisted"}
		}
		return nil
	}
	p.cut = func(to string) bool {
		first := to == "cut@hue.example" && !broke
		broke = broke || first
		return first
	}
	s, log, stop := newSender(t, p.config(), quick)
	for _, to := range []string{"moved", "grey", "cut", "thu"} {
		send(t, s, to+"@hue.example")
	}
	got := map[string]int{}
	for range 3 {
		got[p.next().to]++
	}
	for _, to := range []string{"grey", "cut", "thu"} {
		if n := got[to+"@hue.example"]; n != 1 {
			t.Errorf("%s got %d letters, want 1", to, n)
		}
	}
	stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := p.said["moved@hue.example"]; n != 1 {
		t.Errorf("a letter that was refused for good was tried %d times", n)
	}
	if n := p.said["grey@hue.example"]; n != 4 {
		t.Errorf("a letter that was refused three times for now was tried %d times", n)
	}
	if s.Waiting() != 0 {
		t.Errorf("%d letters wait", s.Waiting())
	}
	for _, personal := range []string{"hue.example", "moved", "Đặt", "Xin"} {
		if strings.Contains(log.String(), personal) {
			t.Errorf("the log has %q:\n%s", personal, log)
		}
	}
	if !strings.Contains(log.String(), "letter=1 code=550") {
		t.Errorf("the log does not say that letter 1 was refused:\n%s", log)
	}
}

func TestServerBreaksOffAfterAccepting(t *testing.T) {
	p := newPost(t, mail.StartTLS)
	p.leave = true
	s, log, stop := newSender(t, p.config(), quick)
	for i := range 5 {
		send(t, s, fmt.Sprintf("nguoi%d@hue.example", i))
	}
	for i := range 5 {
		if got, want := p.next().to, fmt.Sprintf("nguoi%d@hue.example", i); got != want {
			t.Errorf("letter %d goes to %s, want %s", i, got, want)
		}
	}
	stop()
	if len(p.got) != 0 || s.Waiting() != 0 {
		t.Errorf("%d letters came twice, %d wait:\n%s", len(p.got), s.Waiting(), log)
	}
}

// A letter at which the server always breaks off does not keep the others.
func TestLetterBreaksServer(t *testing.T) {
	p := newPost(t, mail.StartTLS)
	p.cut = func(to string) bool { return to == "poison@hue.example" }
	o := quick
	o.Stop = time.Millisecond
	s, _, _ := newSender(t, p.config(), o)
	send(t, s, "poison@hue.example")
	send(t, s, "thu@hue.example")
	send(t, s, "mai@hue.example")
	for _, want := range []string{"thu@hue.example", "mai@hue.example"} {
		if got := p.next().to; got != want {
			t.Errorf("a letter goes to %s, want %s", got, want)
		}
	}
	if n := s.Waiting(); n < 1 {
		t.Errorf("%d letters wait, want the one that breaks the server", n)
	}
}

// What is wrong with us is no reason to throw letters away.
func TestSenderIsRefused(t *testing.T) {
	t.Run("password", func(t *testing.T) {
		p := newPost(t, mail.StartTLS)
		c := p.config()
		c.Password = "wrong"
		o := quick
		o.Stop = time.Millisecond
		s, log, stop := newSender(t, c, o)
		send(t, s, "thu@hue.example")
		log.wait(t, "535")
		stop()
		if s.Waiting() != 1 {
			t.Errorf("%d letters wait, want 1", s.Waiting())
		}
		if !strings.Contains(log.String(), "letters=1") {
			t.Errorf("the log does not say that a letter is lost:\n%s", log)
		}
	})
	t.Run("address", func(t *testing.T) {
		p := newPost(t, mail.StartTLS)
		tries := 0
		p.from = func() error {
			if tries++; tries < 5 {
				return &smtp.SMTPError{Code: 553, Message: "not your address"}
			}
			return nil
		}
		s, _, _ := newSender(t, p.config(), quick)
		send(t, s, "thu@hue.example")
		p.next()
	})
	t.Run("certificate", func(t *testing.T) {
		p := newPost(t, mail.TLS)
		c := p.config()
		c.Roots, _ = certificate(t)
		s, log, stop := newSender(t, c, quick)
		send(t, s, "thu@hue.example")
		log.wait(t, "certificate")
		stop()
		if s.Waiting() != 1 {
			t.Errorf("%d letters wait, want 1", s.Waiting())
		}
	})
	t.Run("no starttls", func(t *testing.T) {
		p := newPost(t, mail.None)
		c := p.config()
		c.Security = mail.StartTLS
		s, log, stop := newSender(t, c, quick)
		send(t, s, "thu@hue.example")
		log.wait(t, "STARTTLS")
		stop()
		if s.Waiting() != 1 || len(p.got) != 0 {
			t.Errorf("a letter went over a connection that is not protected")
		}
	})
}

func TestLetterUnderWayAtStop(t *testing.T) {
	p := newPost(t, mail.StartTLS)
	reached, answer := make(chan struct{}, 2), make(chan struct{})
	p.hang = func() <-chan struct{} {
		reached <- struct{}{}
		return answer
	}
	s, _, stop := newSender(t, p.config(), quick)
	send(t, s, "thu@hue.example")
	send(t, s, "mai@hue.example")
	<-reached
	stopped := make(chan struct{})
	go func() {
		stop()
		close(stopped)
	}()
	close(answer)
	<-stopped
	if n := len(p.got); n != 2 || s.Waiting() != 0 {
		t.Errorf("at the end %d of 2 letters were delivered, %d wait", n, s.Waiting())
	}
}

func TestQueueIsBounded(t *testing.T) {
	s, err := mail.New(mail.Config{Host: "localhost", From: "a@hue.example"}, nil, mail.Options{Capacity: 3})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		send(t, s, "thu@hue.example")
	}
	if err := s.Send(mail.Message{To: "thu@hue.example", Subject: "x", Text: "x"}); !errors.Is(err, mail.ErrFull) {
		t.Errorf("Send to a full queue = %v, want %v", err, mail.ErrFull)
	}
}

// Invitations to an event keep nobody from a new password, nor a health officer from
// whom they have to reach.
func TestManyLettersLetOthersGoFirst(t *testing.T) {
	p := newPost(t, mail.StartTLS)
	p.stop()
	o := quick
	o.Capacity = 4
	s, log, _ := newSender(t, p.config(), o)
	bulk := mail.Message{To: "khach@hue.example", Subject: "x", Text: "x", Bulk: true}
	for range 2 {
		if err := s.Send(bulk); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Send(bulk); !errors.Is(err, mail.ErrFull) {
		t.Errorf("Send of more than half a queue in bulk = %v, want %v", err, mail.ErrFull)
	}
	log.wait(t, "takes no letters")
	send(t, s, "thu@hue.example")
	send(t, s, "mai@hue.example")
	p.start()
	for _, want := range []string{"thu@hue.example", "mai@hue.example", "khach@hue.example", "khach@hue.example"} {
		if got := p.next().to; got != want {
			t.Errorf("a letter goes to %s, want %s", got, want)
		}
	}
}

func TestLetterIsGivenUp(t *testing.T) {
	p := newPost(t, mail.StartTLS)
	p.stop()
	o := quick
	o.Keep = 5 * time.Millisecond
	s, log, stop := newSender(t, p.config(), o)
	send(t, s, "thu@hue.example")
	log.wait(t, "letter given up")
	stop()
	if n := s.Waiting(); n != 0 {
		t.Errorf("%d letters wait", n)
	}
}

func TestHeadersCannotBeInjected(t *testing.T) {
	s, err := mail.New(mail.Config{Host: "localhost", From: "a@hue.example"}, nil, mail.Options{})
	if err != nil {
		t.Fatal(err)
	}
	good := mail.Message{To: "thu@hue.example", Subject: "Xin chào", Text: "Xin chào"}
	for _, end := range []string{"\r\n", "\n", "\r", "\x00", "\u0085", "\u2028", "\v", "\xff"} {
		bad := good
		bad.Subject = "x" + end + "Bcc: all@hue.example"
		if err := s.Send(bad); !errors.Is(err, mail.ErrMessage) || !errors.Is(err, qrgate.ErrInvalid) {
			t.Errorf("Send with subject %q = %v, want %v", bad.Subject, err, mail.ErrMessage)
		}
		bad = good
		bad.To = "thu@hue.example" + end + "Bcc: all@hue.example"
		if err := s.Send(bad); !errors.Is(err, mail.ErrAddress) {
			t.Errorf("Send to %q = %v, want %v", bad.To, err, mail.ErrAddress)
		}
		if _, err := mail.New(mail.Config{Host: "localhost", From: "a@hue.example", FromName: bad.Subject + end + "X: y"}, nil, mail.Options{}); err == nil {
			t.Errorf("New accepts a sender named with %q", end)
		}
	}
	for _, bad := range []mail.Message{
		{To: good.To, Subject: "", Text: "x"},
		{To: good.To, Subject: strings.Repeat("x", 1000), Text: "x"},
		{To: good.To, Subject: "x", Text: ""},
		{To: good.To, Subject: "x", Text: "a\x00b"},
		{To: good.To, Subject: "x", Text: "\xff"},
		{To: good.To, Subject: "x", Text: strings.Repeat("x", 1<<20)},
	} {
		if err := s.Send(bad); !errors.Is(err, mail.ErrMessage) {
			t.Errorf("Send(%.60v) = %v, want %v", bad, err, mail.ErrMessage)
		}
	}
	if s.Waiting() != 0 {
		t.Errorf("%d letters were taken", s.Waiting())
	}
}

var addresses = []struct{ typed, want string }{
	{"thu@hue.example", "thu@hue.example"},
	{" Thu.Tran+qr@HUE.Example\t", "Thu.Tran+qr@hue.example"},
	{"o'brien@a-b.c9.example", "o'brien@a-b.c9.example"},
	{"", ""},
	{"thu", ""},
	{"thu@", ""},
	{"@hue.example", ""},
	{"thu@localhost", ""},
	{"thu@hue..example", ""},
	{"thu@-hue.example", ""},
	{"thu@10.0.0.1", ""},
	{"thu@[10.0.0.1]", ""},
	{"thu@hue.example,mai@hue.example", ""},
	{"Thu <thu@hue.example>", ""},
	{"<thu@hue.example>", ""},
	{"thu@hue.example (work)", ""},
	{`"thu tran"@hue.example`, ""},
	{`"a"@hue.example`, ""},
	{"thu tran@hue.example", ""},
	{"thư@hue.example", ""},
	{"thu@huế.example", ""},
	{"a@b@hue.example", ""},
	{strings.Repeat("a", 65) + "@hue.example", ""},
	{"a@" + strings.Repeat("b.", 130) + "example", ""},
}

func TestAddress(t *testing.T) {
	for _, tt := range addresses {
		got, err := mail.Address(tt.typed)
		if got != tt.want || (err != nil) != (tt.want == "") || err != nil && !errors.Is(err, mail.ErrAddress) {
			t.Errorf("Address(%q) = %q, %v, want %q", tt.typed, got, err, tt.want)
		}
	}
}

// FuzzAddress: an address is in its one form, and is the same to whoever reads
// the header that it stands in.
func FuzzAddress(f *testing.F) {
	for _, tt := range addresses {
		f.Add(tt.typed)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		a, err := mail.Address(typed)
		if err != nil {
			return
		}
		if again, err := mail.Address(a); again != a || err != nil {
			t.Errorf("Address(%q) = %q, whose Address is %q, %v", typed, a, again, err)
		}
		list, err := netmail.ParseAddressList("Thu <" + a + ">")
		if err != nil || len(list) != 1 || list[0].Address != a {
			t.Errorf("a header with %q is read as %v, %v", a, list, err)
		}
	})
}

func TestConfig(t *testing.T) {
	good := mail.Config{Host: "mail.hue.example", From: "qr@hue.example", User: "qr", Password: "x"}
	if _, err := mail.New(good, nil, mail.Options{}); err != nil {
		t.Errorf("New = %v", err)
	}
	for _, change := range []func(*mail.Config){
		func(c *mail.Config) { c.Host = "" },
		func(c *mail.Config) { c.From = "" },
		func(c *mail.Config) { c.From = "QR <qr@hue.example>" },
		func(c *mail.Config) { c.Security = "ssl" },
		func(c *mail.Config) { c.Port = 70000 },
		func(c *mail.Config) { c.Port = -1 },
		func(c *mail.Config) { c.Security = mail.None },
	} {
		bad := good
		change(&bad)
		if _, err := mail.New(bad, nil, mail.Options{}); err == nil {
			t.Errorf("New(%+v) accepts", bad)
		}
	}
}
