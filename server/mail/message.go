package mail

import (
	"fmt"
	netmail "net/mail"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/qrgate/qrgate/server/qrgate"
)

// Why a letter is not taken. Both are kinds of [qrgate.ErrInvalid].
var (
	ErrAddress = fmt.Errorf("mail: not an e-mail address: %w", qrgate.ErrInvalid)
	ErrMessage = fmt.Errorf("mail: not a letter: %w", qrgate.ErrInvalid)
)

const (
	maxAddress = 254 // RFC 5321
	maxLocal   = 64
	maxSubject = 300
	maxText    = 64 << 10
)

// A Message is a letter to one person.
type Message struct {
	To      string // see Address
	Subject string // one line
	Text    string // lines end with \n
	Bulk    bool   // one of many: it lets others go first, and leaves half of the queue to them
}

// Address returns the one form of a bare e-mail address that a person typed, or
// [ErrAddress]. Only its domain is lower-cased, since what stands before the @ is
// the receiving server's business. Nothing is asked of the network: whether there
// is such a mailbox, only a letter tells.
func Address(typed string) (string, error) {
	typed = strings.TrimSpace(typed)
	if len(typed) > maxAddress || strings.ContainsFunc(typed, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return "", ErrAddress
	}
	// The library also reads "Name <address>", comments and quotes.
	a, err := netmail.ParseAddress(typed)
	if err != nil || a.Name != "" || a.Address != typed {
		return "", ErrAddress
	}
	at := strings.LastIndexByte(typed, '@')
	local, domain := typed[:at], strings.ToLower(typed[at+1:])
	if len(local) > maxLocal || strings.ContainsAny(local, `"\(),:;<>[]`) || !validDomain(domain) {
		return "", ErrAddress
	}
	return local + "@" + domain, nil
}

func validDomain(domain string) bool {
	labels := strings.Split(domain, ".")
	for _, l := range labels {
		if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' ||
			strings.Trim(l, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
	}
	last := labels[len(labels)-1]
	return len(labels) >= 2 && strings.Trim(last, "0123456789") != ""
}

// check returns m in the form in which it is sent.
func (m Message) check() (Message, error) {
	to, err := Address(m.To)
	if err != nil {
		return Message{}, err
	}
	if err := line(m.Subject); err != nil {
		return Message{}, fmt.Errorf("%w: subject: %w", ErrMessage, err)
	}
	text := strings.ReplaceAll(m.Text, "\r\n", "\n")
	switch {
	case text == "":
		return Message{}, fmt.Errorf("%w: no text", ErrMessage)
	case len(text) > maxText:
		return Message{}, fmt.Errorf("%w: text has %d bytes", ErrMessage, len(text))
	case !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }):
		return Message{}, fmt.Errorf("%w: text has control characters", ErrMessage)
	}
	return Message{To: to, Subject: m.Subject, Text: text, Bulk: m.Bulk}, nil
}

// line says whether s may stand in a header. A line end in it would begin another
// header, which its writer could choose.
func line(s string) error {
	switch {
	case s == "":
		return fmt.Errorf("empty")
	case len(s) > maxSubject:
		return fmt.Errorf("%d bytes", len(s))
	case !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }):
		return fmt.Errorf("control characters")
	}
	return nil
}
