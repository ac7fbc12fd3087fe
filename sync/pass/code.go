package pass

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// PosterPath begins the path of every poster's URL; a [PosterCode] follows.
const PosterPath = "/p/"

// checkPoly is x^8+x^4+x^3+x^2+1. It is primitive, so the remainder of a code of
// forty bits misses no wrong character and no two characters that changed
// places: either would need a multiple of it that is shorter than itself or
// divides x^n+1 for an n under 255.
const checkPoly = 0x11d

// check returns the remainder of version and number over checkPoly. The mask
// keeps a code of zeros from being valid.
func check(version uint8, number uint32) byte {
	const mask = 0x5a
	v := (uint64(version)<<32 | uint64(number)) << 8
	for i := 39; i >= 0; i-- {
		if v>>(i+8)&1 == 1 {
			v ^= checkPoly << i
		}
	}
	return byte(v) ^ mask
}

func shortCode(number uint32, sum byte) string {
	return alphabet.EncodeToString(append(binary.BigEndian.AppendUint32(nil, number), sum))
}

// readShort reads eight characters as people type them: in any case, grouped by
// spaces or hyphens, with 0, 1 and 8, which are not in the alphabet, for the
// letters that look like them.
func readShort(s string) (number uint32, sum byte, err error) {
	s = strings.NewReplacer(" ", "", "-", "", "0", "O", "1", "I", "8", "B").Replace(strings.ToUpper(s))
	raw, err := alphabet.DecodeString(s)
	if err != nil || len(s) != 8 || len(raw) != 5 {
		return 0, 0, fmt.Errorf("pass: %w: not a code of 8 characters", ErrMalformed)
	}
	return binary.BigEndian.Uint32(raw), raw[4], nil
}

// TypedCode returns the eight characters that stand under the QR of a card, to
// be typed when the print is dirty. Any one wrong character and any two that
// changed places are found by [ParseTyped].
func TypedCode(number uint32) string {
	return shortCode(number, check(0, number))
}

// ParseTyped reads a [TypedCode] as a person types it. It identifies and proves
// nothing: the caller limits how often it may be tried. The error is
// [ErrMalformed].
func ParseTyped(s string) (Pass, error) {
	number, sum, err := readShort(s)
	if err != nil {
		return Pass{Kind: Typed}, err
	}
	if sum != check(0, number) {
		return Pass{Kind: Typed}, fmt.Errorf("pass: %w: check characters", ErrMalformed)
	}
	return Pass{Kind: Typed, Card: OwnCard{Number: number}}, nil
}

// PosterCode returns the last element of a poster's URL,
// https://host/p/XXXXXXXX-V, for the place with the given number and the
// version of the print. It is stable: the same poster has the same code.
func PosterCode(place uint32, version uint8) string {
	return shortCode(place, check(version, place)) + "-" + strconv.Itoa(int(version))
}

// ParsePosterCode reads a [PosterCode] as a browser sends it or a person types
// it. The error is [ErrMalformed].
func ParsePosterCode(s string) (place uint32, version uint8, err error) {
	i := strings.LastIndexByte(s, '-')
	if i < 0 {
		return 0, 0, fmt.Errorf("pass: %w: poster code without version", ErrMalformed)
	}
	v, err := strconv.ParseUint(s[i+1:], 10, 8)
	if err != nil {
		return 0, 0, fmt.Errorf("pass: %w: poster code's version", ErrMalformed)
	}
	place, sum, err := readShort(s[:i])
	if err != nil {
		return 0, 0, err
	}
	if sum != check(uint8(v), place) {
		return 0, 0, fmt.Errorf("pass: %w: check characters", ErrMalformed)
	}
	return place, uint8(v), nil
}
