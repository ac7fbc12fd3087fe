// Package pass owns the text inside codes: it makes and signs QRGate's own
// cards, verifies them without a network, and recognises the codes that people
// carry anyway.
//
//	p, err := pass.Parse(scan.Text)            // what is this?
//	if err == nil && p.Kind.Own() {
//		err = pass.Verify(p, keys, pass.DayOf(now)) // is it genuine, and today?
//	}
//
// The promise: a card that verifies is one that the holder of a listed key
// signed, bit for bit. A card's text is "QG1" and 128 characters of base32
// (A-Z, 2-7), so that any keyboard layout and the dense alphanumeric mode of QR
// can carry it; they are exactly 80 bytes:
//
//	kind 1 | key 1 | number 4 | issue 1 | first day 2 | last day 2 | people 1 | event 3 | lane 1 | Ed25519 signature 64
//
// Numbers are big endian. The bits leave no slack, and only the one text that
// encodes a card is accepted, in capitals or, from a keyboard scanner under
// CapsLock, in small letters throughout: whoever compares cards compares
// [OwnCard] values.
//
// Foreign codes (CCCD, BHYT, the national personal QR) are unsigned: they
// identify and prove nothing. Of their fields a [Subject] keeps what tracing
// needs; the others are dropped unread. No value of this package prints a
// person: formatted or logged, it shows its kind.
//
// The package keeps no state and seals nothing; the door's rules and the repeat
// filter are the kiosk's.
package pass
