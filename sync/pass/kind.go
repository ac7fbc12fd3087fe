package pass

import "fmt"

// A Kind says what sort of code was held up. The numbers travel on the wire and
// stand in the database: they are never reused.
type Kind uint8

// The kinds of code. The first six are printed by QRGate and signed.
const (
	Unknown     Kind = 0
	Card        Kind = 1  // one person's card
	Family      Kind = 2  // one card for several people who go together
	Staff       Kind = 3  // somebody who works at the place
	Event       Kind = 4  // a pass for one event
	Maintenance Kind = 5  // opens a kiosk's maintenance; names nobody
	Test        Kind = 6  // the morning's test card; names nobody
	CCCD        Kind = 10 // national identity card, unsigned
	BHYT        Kind = 11 // health insurance card, unsigned
	National    Kind = 12 // personal QR of the national platform, unsigned
	HC1         Kind = 13 // EU Digital COVID Certificate, recognised only
	SHC         Kind = 14 // SMART Health Card, recognised only
	Poster      Kind = 15 // a place's poster, not a person's code
	Command     Kind = 16 // a signed order to the kiosk
	Enrolment   Kind = 17 // the portal's one-time code for a new kiosk
	WiFi        Kind = 18 // a network for a new kiosk
	Typed       Kind = 19 // the code under a card's QR, typed; identifies, proves nothing
	Phone       Kind = 20 // telephone number and name, stated on a phone
	Account     Kind = 21 // somebody signed in to another system, which vouches for them
)

var kindNames = map[Kind]string{
	Unknown: "unknown", Card: "card", Family: "family", Staff: "staff", Event: "event",
	Maintenance: "maintenance", Test: "test", CCCD: "cccd", BHYT: "bhyt", National: "national",
	HC1: "hc1", SHC: "shc", Poster: "poster", Command: "command", Enrolment: "enrolment",
	WiFi: "wifi", Typed: "typed", Phone: "phone", Account: "account",
}

// String returns the kind's stable name, as settings and catalogues use it.
func (k Kind) String() string {
	if s, ok := kindNames[k]; ok {
		return s
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// ParseKind returns the kind with the given name.
func ParseKind(name string) (Kind, error) {
	for k, s := range kindNames {
		if s == name && k != Unknown {
			return k, nil
		}
	}
	return Unknown, fmt.Errorf("pass: no kind of pass is called %q", name)
}

// Own reports whether codes of kind k are printed and signed by QRGate.
func (k Kind) Own() bool { return k >= Card && k <= Test }

// Identifies reports whether a code of kind k names a person whom a door can
// record. HC1 does not, because the package recognises it without opening it.
func (k Kind) Identifies() bool {
	switch k {
	case Card, Family, Staff, Event, CCCD, BHYT, National, Typed, Phone, Account:
		return true
	}
	return false
}
