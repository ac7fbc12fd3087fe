package enrolment

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// ErrWiFi is returned for a text that names no Wi-Fi network that a kiosk could join.
var ErrWiFi = errors.New("not the code of a Wi-Fi network")

// A WiFi is a network that a QR of the kind that routers and phones show names.
type WiFi struct {
	SSID     string
	Password string // empty for an open network
	Hidden   bool
}

// String hides the password, also from %v.
func (w WiFi) String() string { return "Wi-Fi " + w.SSID }

// GoString is String for %#v.
func (w WiFi) GoString() string { return w.String() }

// joinTime bounds how long a network may take to join.
const joinTime = time.Minute

// ParseWiFi reads a text like WIFI:T:WPA;S:name;P:password;H:true;; with \ before
// each of \ ; , : " that is meant as it stands. What WPA3 adds, R, I and K, is the
// network's own business. A field that is not known, that comes twice, or that no network
// has makes the text an error, which does not quote it.
func ParseWiFi(text string) (WiFi, error) {
	rest, ok := strings.CutPrefix(text, "WIFI:")
	if !ok || len(text) > 512 || !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
		return WiFi{}, fmt.Errorf("enrolment: %w", ErrWiFi)
	}
	fields := map[string]string{}
	for rest != "" && rest != ";" {
		name, after, ok := strings.Cut(rest, ":")
		if !ok || len(name) != 1 || !strings.Contains("TSPHRIK", name) {
			return WiFi{}, fmt.Errorf("enrolment: %w: a field that is not known", ErrWiFi)
		}
		if _, twice := fields[name]; twice {
			return WiFi{}, fmt.Errorf("enrolment: %w: a field twice", ErrWiFi)
		}
		value, n, ok := unescape(after)
		if !ok {
			return WiFi{}, fmt.Errorf("enrolment: %w: cut off", ErrWiFi)
		}
		fields[name], rest = value, after[n:]
	}
	w := WiFi{SSID: fields["S"], Password: fields["P"]}
	switch fields["H"] {
	case "", "false":
	case "true":
		w.Hidden = true
	default:
		return WiFi{}, fmt.Errorf("enrolment: %w: hidden is neither true nor false", ErrWiFi)
	}
	switch kind := fields["T"]; {
	case kind == "" || kind == "nopass":
		if w.Password != "" {
			return WiFi{}, fmt.Errorf("enrolment: %w: an open network with a password", ErrWiFi)
		}
	case kind == "WPA" || kind == "WPA2" || kind == "WPA3" || kind == "SAE":
		if len(w.Password) < 8 || len(w.Password) > 64 {
			return WiFi{}, fmt.Errorf("enrolment: %w: a password has 8 to 64 letters", ErrWiFi)
		}
	default: // WEP is none
		return WiFi{}, fmt.Errorf("enrolment: %w: a kind of network that is not joined", ErrWiFi)
	}
	// A name that looks like an option is one to the program that joins.
	if w.SSID == "" || len(w.SSID) > 32 || strings.HasPrefix(w.SSID, "-") || strings.HasPrefix(w.Password, "-") {
		return WiFi{}, fmt.Errorf("enrolment: %w: no name of a network", ErrWiFi)
	}
	return w, nil
}

// unescape reads a value up to its semicolon and returns how many bytes that were.
func unescape(s string) (value string, n int, ok bool) {
	var b strings.Builder
	for n < len(s) {
		switch s[n] {
		case ';':
			return b.String(), n + 1, true
		case '\\':
			n++
			if n == len(s) || !strings.ContainsRune(`\;,:"`, rune(s[n])) {
				return "", 0, false
			}
			b.WriteByte(s[n])
		case ':', '"', ',':
			return "", 0, false // must be escaped
		default:
			b.WriteByte(s[n])
		}
		n++
	}
	return "", 0, false
}

// Join runs a program that joins the network. In its arguments {ssid}, {password} and
// {hidden} (yes or no) stand for the network's; for an open network {password} is left
// out with the argument before it. What it prints is dropped: it may quote the password.
func (w WiFi) Join(ctx context.Context, command []string) error {
	if len(command) == 0 {
		return errors.New("enrolment: no program joins Wi-Fi networks here")
	}
	hidden := "no"
	if w.Hidden {
		hidden = "yes"
	}
	replace := strings.NewReplacer("{ssid}", w.SSID, "{password}", w.Password, "{hidden}", hidden)
	args := make([]string, 0, len(command))
	for _, a := range command[1:] {
		if a == "{password}" && w.Password == "" {
			args = args[:max(len(args)-1, 0)]
			continue
		}
		args = append(args, replace.Replace(a))
	}
	ctx, cancel := context.WithTimeout(ctx, joinTime)
	defer cancel()
	if err := exec.CommandContext(ctx, command[0], args...).Run(); err != nil {
		return fmt.Errorf("enrolment: join %s: %s: %w", w.SSID, command[0], err)
	}
	return nil
}
