package signin

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode"

	"golang.org/x/crypto/chacha20poly1305"
)

// StateFor is how long somebody may take to sign in at the other system.
const StateFor = 15 * time.Minute

// ErrState means that an answer does not belong to a sign-in that this browser
// began here: its state is another's, was altered, or is missing.
var ErrState = errors.New("signin: state is not of this sign-in")

// A State is what a browser keeps while its user is at an OpenID provider. It
// travels sealed in a cookie, so that any server process can finish what another
// began, and neither the user nor a stranger can choose its values.
type State struct {
	Issuer   string    `json:"i"` // where the user went
	State    string    `json:"s"`
	Nonce    string    `json:"n"`
	Verifier string    `json:"v"` // of PKCE
	Return   string    `json:"r"` // see SafePath
	Ends     time.Time `json:"e"`
}

const (
	stateContext = "qrgate login state v1"
	maxSealed    = 3072 // browsers keep 4096 bytes with the name
	maxPath      = 1024
)

// Seal returns s for a cookie, under a key of 32 bytes that all server processes
// share.
func (s State) Seal(key []byte) (string, error) {
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return "", fmt.Errorf("signin: seal state: %w", err)
	}
	plain, err := json.Marshal(s)
	if err != nil {
		return "", fmt.Errorf("signin: seal state: %w", err)
	}
	nonce := random(aead.NonceSize())
	sealed := base64.RawURLEncoding.EncodeToString(aead.Seal(nonce, nonce, plain, []byte(stateContext)))
	if len(sealed) > maxSealed {
		return "", fmt.Errorf("signin: seal state: %d bytes do not fit a cookie", len(sealed))
	}
	return sealed, nil
}

// OpenState returns what [State.Seal] sealed under the same key, or [ErrState].
// Whether it has ended is for [Provider.Finish] to say.
func OpenState(key []byte, sealed string) (State, error) {
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return State{}, fmt.Errorf("signin: open state: %w", err)
	}
	if len(sealed) > maxSealed {
		return State{}, fmt.Errorf("%w: %d bytes", ErrState, len(sealed))
	}
	box, err := base64.RawURLEncoding.Strict().DecodeString(sealed)
	// The decoder skips line ends, so that one state could be written twice.
	if err != nil || len(box) < aead.NonceSize() || strings.ContainsAny(sealed, "\r\n") {
		return State{}, fmt.Errorf("%w: malformed", ErrState)
	}
	nonce, box := box[:aead.NonceSize()], box[aead.NonceSize():]
	plain, err := aead.Open(nil, nonce, box, []byte(stateContext))
	if err != nil {
		return State{}, fmt.Errorf("%w: does not open", ErrState)
	}
	var s State
	if err := json.Unmarshal(plain, &s); err != nil {
		return State{}, fmt.Errorf("%w: malformed", ErrState)
	}
	return s, nil
}

// SafePath returns path if following it stays on this site, and else "/". Where
// a page sends people after they signed in comes from a link, which anybody may
// have written.
func SafePath(path string) string {
	const home = "/"
	// Browsers take a backslash for a slash and drop tabs and line ends, so
	// that /\example.org leads away as //example.org does.
	if len(path) > maxPath || !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") ||
		strings.ContainsFunc(path, func(r rune) bool { return r == '\\' || unicode.IsControl(r) || r == unicode.ReplacementChar }) {
		return home
	}
	u, err := url.Parse(path)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil {
		return home
	}
	// Once dots are resolved two slashes may be in front: /.//example.org. No
	// path of ours has two anywhere.
	if strings.Contains(u.EscapedPath(), "//") {
		return home
	}
	return path
}
