package wedge

import (
	"fmt"
	"unicode"
)

// A Layout is the keyboard that a scanner is set to be, by its country.
type Layout string

// The layouts, as Windows defines them, because scanners imitate its keyboards.
const (
	US Layout = "us" // QWERTY; also what an empty Layout means
	FR Layout = "fr" // AZERTY
	DE Layout = "de" // QWERTZ
)

// Combining marks stand for dead keys in the tables below.
const (
	deadGrave      = '\u0300'
	deadAcute      = '\u0301'
	deadCircumflex = '\u0302'
	deadTilde      = '\u0303'
	deadDiaeresis  = '\u0308'
)

// spacing returns what a dead key types when a space follows it.
func spacing(dead rune) rune {
	switch dead {
	case deadGrave:
		return '`'
	case deadAcute:
		return '´'
	case deadCircumflex:
		return '^'
	case deadTilde:
		return '~'
	case deadDiaeresis:
		return '¨'
	}
	return 0
}

// A cap is what one key types: alone, with Shift, with AltGr. 0 is nothing.
type keycap struct{ base, shift, altGr rune }

// printing lists the key codes of the printing keys in the order of the table
// rows: the number row from the key left of 1, then the three letter rows, the
// key beside Enter, the key beside the left Shift.
var printing = [...]uint16{
	41, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13,
	16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27,
	30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
	44, 45, 46, 47, 48, 49, 50, 51, 52, 53,
	43, 86,
}

// rows holds base, Shift and AltGr of the printing keys; a space is nothing.
var rows = map[Layout][3]string{
	US: {
		"`1234567890-=" + "qwertyuiop[]" + `asdfghjkl;'` + "zxcvbnm,./" + `\\`,
		"~!@#$%^&*()_+" + "QWERTYUIOP{}" + `ASDFGHJKL:"` + "ZXCVBNM<>?" + `||`,
		"",
	},
	FR: {
		`²&é"'(-è_çà)=` + "azertyuiop\u0302$" + "qsdfghjklmù" + "wxcvbn,;:!" + "*<",
		" 1234567890°+" + "AZERTYUIOP\u0308£" + "QSDFGHJKLM%" + "WXCVBN?./§" + "µ>",
		"  \u0303#{[|\u0300\\^@]}" + "  €        ¤" + "           " + "          " + "  ",
	},
	DE: {
		"\u03021234567890ß\u0301" + "qwertzuiopü+" + "asdfghjklöä" + "yxcvbnm,.-" + "#<",
		"°!\"§$%&/()=?\u0300" + "QWERTZUIOPÜ*" + "ASDFGHJKLÖÄ" + "YXCVBNM;:_" + "'>",
		"  ²³   {[]}\\ " + "@ €        ~" + "           " + "      µ   " + " |",
	},
}

// keycaps returns the printing keys of l by key code.
func (l Layout) keycaps() (map[uint16]keycap, error) {
	if l == "" {
		l = US
	}
	row, ok := rows[l]
	if !ok {
		return nil, fmt.Errorf("wedge: layout %q is none of %q, %q, %q", l, US, FR, DE)
	}
	level := func(s string) (r [len(printing)]rune) {
		i := 0
		for _, c := range s {
			if c != ' ' {
				r[i] = c
			}
			i++
		}
		return r
	}
	base, shift, altGr := level(row[0]), level(row[1]), level(row[2])
	caps := make(map[uint16]keycap, len(printing))
	for i, code := range printing {
		caps[code] = keycap{base[i], shift[i], altGr[i]}
	}
	return caps, nil
}

// isLetter reports whether CapsLock acts on the key.
func (k keycap) isLetter() bool { return unicode.IsLower(k.base) && unicode.ToUpper(k.base) == k.shift }
