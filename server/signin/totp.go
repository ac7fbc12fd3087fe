package signin

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"
)

var (
	// ErrWrongCode means that a code is not the expected one, or is none.
	ErrWrongCode = errors.New("signin: wrong code")
	// ErrUsedCode means that a code was right, but has been used before.
	ErrUsedCode = errors.New("signin: code was used before")
)

const (
	secretSize = 20 // as long as the hash, which RFC 4226 recommends
	totpPeriod = 30 // seconds
	totpDigits = 6
	totpSkew   = 1 // steps that a phone's clock may be off, each way
)

// A Secret is what an account shares with an authenticator app, by RFC 6238 with
// SHA-1, 30 seconds and 6 digits, the only kind that every app understands. It
// must be stored sealed: unlike a password it cannot be hashed.
type Secret []byte

// NewSecret returns a random secret.
func NewSecret() Secret { return random(secretSize) }

// Text returns the secret for typing into an app that cannot scan, in groups of
// four.
func (s Secret) Text() string {
	return strings.Join(groups(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(s)), " ")
}

// String keeps secrets out of messages.
func (s Secret) String() string { return "secret" }

// LogValue keeps secrets out of logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue("secret") }

// URI returns what the QR code says that an app scans. Issuer is the name of the
// service; neither it nor account may be empty.
func (s Secret) URI(issuer, account string) string {
	// Apps split the label at the first colon.
	issuer, account = strings.ReplaceAll(issuer, ":", " "), strings.ReplaceAll(account, ":", " ")
	q := url.Values{
		"secret":    {strings.ReplaceAll(s.Text(), " ", "")},
		"issuer":    {issuer},
		"algorithm": {"SHA1"},
		"digits":    {fmt.Sprint(totpDigits)},
		"period":    {fmt.Sprint(totpPeriod)},
	}
	// Apps show a plus sign where the query has one for a space.
	query := strings.ReplaceAll(q.Encode(), "+", "%20")
	return "otpauth://totp/" + url.PathEscape(issuer) + ":" + url.PathEscape(account) + "?" + query
}

// Verify compares what a person typed with the codes of now, of the step before
// and the step after. Last is the step that was accepted last, 0 for none; only
// later ones are accepted. The caller stores the returned step, on the condition
// that the stored one is still lower, before it lets the person in.
func (s Secret) Verify(typed string, now time.Time, last int64) (step int64, err error) {
	code, ok := digits(typed)
	if !ok {
		return 0, ErrWrongCode
	}
	current := now.Unix() / totpPeriod
	for n := current - totpSkew; n <= current+totpSkew; n++ {
		// All steps are compared, whichever matches. Two steps may have one
		// code; the later is taken, which then closes both.
		if subtle.ConstantTimeCompare(s.code(n), code) == 1 {
			step = n
		}
	}
	switch {
	case step == 0:
		return 0, ErrWrongCode
	case step <= last:
		return 0, ErrUsedCode
	}
	return step, nil
}

func (s Secret) code(step int64) []byte {
	mac := hmac.New(sha1.New, s)
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(step)))
	sum := mac.Sum(nil)
	at := sum[len(sum)-1] & 0xf
	n := binary.BigEndian.Uint32(sum[at:]) & 0x7fff_ffff
	return fmt.Appendf(nil, "%0*d", totpDigits, n%1_000_000)
}

// digits reads a code as people type it: apps show "123 456".
func digits(typed string) ([]byte, bool) {
	if len(typed) > 64 {
		return nil, false
	}
	var code []byte
	for _, r := range typed {
		switch {
		case r >= '0' && r <= '9':
			code = append(code, byte(r))
		case r == ' ' || r == '-' || r == '\u00a0' || r == '\t':
		default:
			return nil, false
		}
	}
	return code, len(code) == totpDigits
}
