package signin

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"

	"github.com/qrgate/qrgate/server/qrgate"
)

const tokenSize = 24 // 192 bits, 32 characters in a link

// ErrBadToken means that a text is no token, for instance because a mail program
// broke the link. It is a kind of [qrgate.ErrInvalid].
var ErrBadToken = fmt.Errorf("signin: malformed token: %w", qrgate.ErrInvalid)

// NewToken returns a random token for a link (to confirm an address, to choose a
// new password, to accept an invitation), and its sum, by which the store finds
// it. The text is in base64url.
func NewToken() (text string, sum Sum) {
	b := random(tokenSize)
	return base64.RawURLEncoding.EncodeToString(b), sha256.Sum256(b)
}

// TokenSum returns the sum of a token that came back. A sum is looked up in the
// database as any other key: who does not know the token learns nothing from how
// long that takes.
func TokenSum(text string) (Sum, error) {
	if len(text) != base64.RawURLEncoding.EncodedLen(tokenSize) {
		return Sum{}, ErrBadToken
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) != tokenSize {
		return Sum{}, ErrBadToken
	}
	return sha256.Sum256(b), nil
}
