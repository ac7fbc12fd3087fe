package account_test

import (
	"context"
	"io"
	"log/slog"
	"mime"
	"mime/quotedprintable"
	"net"
	netmail "net/mail"
	"strings"
	"testing"

	"github.com/emersion/go-smtp"

	"github.com/qrgate/qrgate/server/mail"
	"github.com/qrgate/qrgate/server/portal/account"
)

// A post is a real mail server, whose letters a test reads.
type post struct{ letters chan []byte }

func (p *post) NewSession(*smtp.Conn) (smtp.Session, error) { return p, nil }
func (p *post) Mail(string, *smtp.MailOptions) error        { return nil }
func (p *post) Rcpt(string, *smtp.RcptOptions) error        { return nil }
func (p *post) Reset()                                      {}
func (p *post) Logout() error                               { return nil }
func (p *post) Data(r io.Reader) error {
	letter, err := io.ReadAll(r)
	p.letters <- letter
	return err
}

// next waits for a letter and returns it as its reader sees it.
func (p *post) next(t *testing.T) mail.Message {
	t.Helper()
	m, err := netmail.ReadMessage(strings.NewReader(string(<-p.letters)))
	if err != nil {
		t.Fatal(err)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil {
		t.Fatal(err)
	}
	body := io.Reader(m.Body)
	if m.Header.Get("Content-Transfer-Encoding") == "quoted-printable" {
		body = quotedprintable.NewReader(body)
	}
	text, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return mail.Message{To: m.Header.Get("To"), Subject: subject, Text: string(text)}
}

// From the page to the mail server, to the link, and back to the page.
func TestLettersArrive(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &post{letters: make(chan []byte, 10)}
	server := smtp.NewServer(p)
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() { server.Close(); <-served })
	sender, err := mail.New(mail.Config{Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, Security: mail.None, From: "qr@hue.example"}, slog.New(slog.DiscardHandler), mail.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- sender.Run(ctx) }()
	t.Cleanup(func() { stop(); <-ended })

	w := newWorld(t, func(_ *world, o *account.Options) { o.Mail = sender })
	b := w.browser()
	b.wants(b.post("/dang-ky", "account_name", "thu", "account_new_password", goodPassword, "account_display", "Trần Thị Thu", "account_email", "thu@Hue.Example"), 303, "/to-chuc/moi")
	letter := p.next(t)
	if !strings.Contains(letter.To, "thu@hue.example") || letter.Subject != "Xác nhận thư điện tử / Confirm your e-mail" || !strings.Contains(letter.Text, "tài khoản thu của QRGate") {
		t.Errorf("letter = %+v", letter)
	}
	_, token, _ := strings.Cut(w.linkIn(letter), "ma=")
	b.wants(b.post("/xac-nhan", "ma", token), 303, "/tai-khoan")

	b.wants(w.browser().post("/quen-mat-khau", "cach", "thu", "account_who", "THU@hue.example"), 200, "đang trên đường tới")
	letter = p.next(t)
	c := w.browser()
	c.wants(c.get(w.linkIn(letter)), 200, "tài khoản thu")
	_, token, _ = strings.Cut(w.linkIn(letter), "ma=")
	c.wants(c.post("/dat-lai-mat-khau", "ma", token, "account_new_password", "mật khẩu hoàn toàn mới"), 303, "/dang-nhap")
	c.wants(c.signIn("thu", "mật khẩu hoàn toàn mới"), 303, "/")
	if letter = p.next(t); !strings.Contains(letter.Subject, "Mật khẩu đã đổi") {
		t.Errorf("letter = %+v", letter)
	}
}
