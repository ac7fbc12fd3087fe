package pass

import (
	"fmt"
	"strings"
)

// ParsePhone reads a Vietnamese telephone number as somebody types it at a door and
// returns it as "+84…". It knows what a number looks like (mobile: ten digits that begin
// with 03, 05, 07, 08 or 09; fixed: eleven that begin with 02), not whose it is: what it
// returns is stated. The error is [ErrMalformed].
func ParsePhone(s string) (string, error) {
	digits := strings.NewReplacer(" ", "", ".", "", "-", "").Replace(s)
	for _, abroad := range []string{"+84", "0084", "84"} {
		if rest, ok := strings.CutPrefix(digits, abroad); ok && len(rest) >= 9 {
			digits = "0" + strings.TrimPrefix(rest, "0")
			break
		}
	}
	mobile := len(digits) == 10 && strings.ContainsRune("35789", rune(digits[1]))
	fixed := len(digits) == 11 && digits[1] == '2'
	if !isDigits(digits) || digits[0] != '0' || !mobile && !fixed {
		return "", fmt.Errorf("pass: %w: not a telephone number", ErrMalformed)
	}
	return "+84" + digits[1:], nil
}

// MaxCompanions is how many people may come along with somebody who checks in.
const MaxCompanions = 5

// companionPrefix begins the code on the wall, which every scanner types alike.
const companionPrefix = "QGWITH"

// CompanionCode returns what a code on the wall beside a kiosk says: n people come along
// with whoever has just checked in. It is nobody's and proves nothing.
func CompanionCode(n int) string { return fmt.Sprintf("%s%d", companionPrefix, n) }

// Companions returns how many people a [CompanionCode] says, and 0 of any other text.
func Companions(text string) int {
	for n := 1; n <= MaxCompanions; n++ {
		if strings.EqualFold(text, CompanionCode(n)) {
			return n
		}
	}
	return 0
}
