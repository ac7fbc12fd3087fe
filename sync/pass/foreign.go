package pass

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// maxField bounds one field of a foreign code in bytes, so that no forged code
// fills a record.
const maxField = 512

// parseForeign reads codes whose fields are divided by bars. They have no
// header, so the number of fields and the look of the telling ones decide.
func parseForeign(text string) (Pass, error) {
	switch bars := strings.Count(text, "|"); {
	case bars == 14 && strings.HasSuffix(text, "|$"):
		return parseBHYT(strings.Split(text, "|"))
	case bars >= 5 && isNationalDate(strings.SplitN(text, "|", 6)[2]):
		return parseNational(strings.SplitN(text, "|", 6))
	case bars >= 6 && isDigits(text[:strings.IndexByte(text, '|')]):
		return parseCCCD(strings.SplitN(text, "|", 8))
	}
	return Pass{}, fmt.Errorf("pass: %w", ErrUnknown)
}

// parseCCCD reads number | old number | name | birth | sex | residence | issued.
// A card issued since July 2024 may go on with cancelled numbers and the names
// of parents: those are nobody's business at a door.
func parseCCCD(f []string) (Pass, error) {
	bad := func(fact string) (Pass, error) {
		return Pass{Kind: CCCD}, fmt.Errorf("pass: %w: cccd: %s", ErrMalformed, fact)
	}
	born, ok := birthYear(f[3])
	switch {
	case len(f[0]) != 12:
		return bad("number has not 12 digits")
	case !ok:
		return bad("birth is no date")
	case !isField(f[2]) || f[2] == "":
		return bad("name")
	case !isField(f[5]):
		return bad("residence")
	}
	return Pass{Kind: CCCD, Subject: Subject{Number: f[0], Name: f[2], Born: born, Address: f[5]}}, nil
}

// parseBHYT reads card | name in hex | birth | sex | address in hex | ten more |
// $. The person's number is the social-insurance number, the last ten
// characters: what stands before it changes when a child becomes a pupil, and
// newer cards leave it out.
func parseBHYT(f []string) (Pass, error) {
	bad := func(fact string) (Pass, error) {
		return Pass{Kind: BHYT}, fmt.Errorf("pass: %w: bhyt: %s", ErrMalformed, fact)
	}
	number := strings.ToUpper(f[0])
	if len(number) != 10 && len(number) != 15 || !isAlphanumeric(number) {
		return bad("card number has not 10 or 15 characters")
	}
	name, ok := hexField(f[1])
	if !ok || name == "" {
		return bad("name")
	}
	born, ok := birthYear(f[2])
	if !ok {
		return bad("birth is no date")
	}
	address, ok := hexField(f[4])
	if !ok {
		return bad("address")
	}
	return Pass{Kind: BHYT, Subject: Subject{
		Number: number[len(number)-10:], Name: name, Born: born, Address: address,
	}}, nil
}

// parseNational reads number of a paper, masked | name in capitals | birth |
// 0 self, 1 on behalf | QID | more. The paper's number is starred by default,
// so the person's number is the QID of the national platform.
func parseNational(f []string) (Pass, error) {
	bad := func(fact string) (Pass, error) {
		return Pass{Kind: National}, fmt.Errorf("pass: %w: national: %s", ErrMalformed, fact)
	}
	born, ok := year(f[2][:4])
	switch {
	case !ok:
		return bad("birth is no date")
	case f[3] != "0" && f[3] != "1":
		return bad("kind of identification")
	case f[4] == "" || !isField(f[4]) || strings.ContainsFunc(f[4], unicode.IsSpace):
		return bad("QID")
	case !isField(f[1]):
		return bad("name")
	}
	return Pass{Kind: National, Subject: Subject{Number: f[4], Name: f[1], Born: born}}, nil
}

// birthYear reads ddMMyyyy, dd/MM/yyyy or yyyy. Old people's papers may have 00
// for a day or month that nobody remembers, so only the year is judged.
func birthYear(s string) (int, bool) {
	d := s
	if len(s) == 10 && s[2] == '/' && s[5] == '/' {
		d = s[:2] + s[3:5] + s[6:]
	}
	if len(d) != 8 && len(d) != 4 || !isDigits(d) {
		return 0, false
	}
	return year(d[len(d)-4:])
}

func year(s string) (int, bool) {
	y, err := strconv.Atoi(s)
	return y, err == nil && isDigits(s) && y >= 1880 && y < 2200
}

// isNationalDate reports whether s is YYYY-MM-DD, any of whose days and months
// may be stars.
func isNationalDate(s string) bool {
	if len(s) != len("YYYY-MM-DD") || s[4] != '-' || s[7] != '-' {
		return false
	}
	return isDigits(s[:4]) && isDigits(strings.ReplaceAll(s[5:7]+s[8:], "*", "0"))
}

// hexField decodes a field of hexadecimal UTF-8. The text inside was hidden
// from what Parse asks of the whole text.
func hexField(s string) (string, bool) {
	raw, err := hex.DecodeString(s)
	if err != nil || !utf8.Valid(raw) {
		return "", false
	}
	t := norm.NFC.String(string(raw))
	return t, isField(t)
}

func isField(s string) bool { return len(s) <= maxField && !strings.ContainsFunc(s, unicode.IsControl) }

func isDigits(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' }) < 0
}

func isAlphanumeric(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return (r < '0' || r > '9') && (r < 'A' || r > 'Z') }) < 0
}
