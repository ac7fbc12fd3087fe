package register

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"

	"github.com/qrgate/qrgate/server/qrgate"
)

// Lengths of user names.
const (
	MinUserName = 3
	MaxUserName = 40
)

// UserName returns the one form of a user name that a person typed: NFC, lower
// case, of a-z, 0-9, full stop, underscore and hyphen, with a letter or digit at
// both ends. A telephone number is a user name too, in whichever way it was
// written: 0905 123 456 and +84 905.123.456 are one. The error is a kind of
// [qrgate.ErrInvalid].
func UserName(typed string) (string, error) {
	name := strings.ToLower(norm.NFC.String(strings.TrimSpace(typed)))
	if phone, ok := phoneName(name); ok {
		name = phone
	}
	if len(name) < MinUserName || len(name) > MaxUserName || strings.Trim(name, "._-") != name ||
		strings.ContainsFunc(name, func(r rune) bool { return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789._-", r) }) {
		return "", fmt.Errorf("register: user name: %w", qrgate.ErrInvalid)
	}
	return name, nil
}

// phoneName returns a telephone number as a user name: its digits, within the
// country with a leading 0.
func phoneName(s string) (string, bool) {
	digits := strings.NewReplacer(" ", "", ".", "", "-", "", "(", "", ")", "").Replace(s)
	if local, ok := strings.CutPrefix(digits, "+84"); ok {
		digits = "0" + local
	}
	digits = strings.TrimPrefix(digits, "+")
	if len(digits) < 8 || len(digits) > 15 || strings.Trim(digits, "0123456789") != "" {
		return "", false
	}
	return digits, true
}

// reserved names would make others believe that they speak to the office.
var reserved = []string{
	"abuse", "admin", "administrator", "api", "canbo", "can-bo", "congan", "cong-an", "help", "hethong", "he-thong", "hostmaster", "hotro", "ho-tro",
	"hue-s", "hues", "info", "lienhe", "lien-he", "mail", "noreply", "no-reply", "null", "nobody", "operator", "postmaster", "qrgate", "quantri",
	"quan-tri", "quantrivien", "root", "security", "server", "support", "system", "sysadmin", "test", "tongdai", "tong-dai", "ubnd", "undefined",
	"webmaster", "www", "yte", "y-te",
}

// ReservedName reports whether a user name is one that nobody may choose, since
// others would take its holder for the office. A command at the server may.
func ReservedName(name string) bool {
	name = strings.NewReplacer(".", "-", "_", "-").Replace(name)
	return slices.Contains(reserved, strings.TrimRight(name, "-0123456789"))
}
