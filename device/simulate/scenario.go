package simulate

import (
	"fmt"
	"slices"
	"time"

	"github.com/qrgate/qrgate/hw/scan"
)

// A Scenario is what befalls the kiosks.
type Scenario string

// The scenarios.
const (
	Normal      Scenario = "normal"       // a day: a rush in the morning and in the evening, nobody at night
	Outage      Scenario = "outage"       // the network of all ends and comes back
	SickScanner Scenario = "sick-scanner" // every fifth kiosk's scanner is absent, babbles, is silent
	WrongClock  Scenario = "wrong-clock"  // every fifth kiosk's clock is years off
	RevokedCard Scenario = "revoked-card" // the first of the cards is shown again and again
)

// Scenarios returns all of them.
func Scenarios() []Scenario { return []Scenario{Normal, Outage, SickScanner, WrongClock, RevokedCard} }

// ParseScenario returns the scenario of a name.
func ParseScenario(name string) (Scenario, error) {
	if s := Scenario(name); slices.Contains(Scenarios(), s) {
		return s, nil
	}
	return "", fmt.Errorf("simulate: no scenario %q; there are %v", name, Scenarios())
}

// Parts of a day on which a scenario does something: it is short for people who learn.
const (
	outageFrom, outageTo = 0.25, 0.60
	sickFrom, sickTo     = 0.20, 0.80
	oneOf                = 5 // kiosks is struck
)

// within says which part of its day it is, 0 to 1.
func within(since, day time.Duration) float64 { return float64(since%day) / float64(day) }

// cut reports whether there is no network.
func (s Scenario) cut(since, day time.Duration) bool {
	at := within(since, day)
	return s == Outage && at >= outageFrom && at < outageTo
}

// rush returns by what the rate is multiplied.
func (s Scenario) rush(since, day time.Duration) float64 {
	if s != Normal {
		return 1
	}
	switch hour := 24 * within(since+day/4, day); { // it begins at six
	case hour < 5 || hour >= 22:
		return 0.02
	case hour >= 7 && hour < 9, hour >= 16 && hour < 18:
		return 3
	}
	return 1
}

// skew returns by how much the clock of kiosk n is wrong.
func (s Scenario) skew(n int) time.Duration {
	const year = 365 * 24 * time.Hour
	if s != WrongClock || n%oneOf != 0 {
		return 0
	}
	return []time.Duration{-10 * year, year, -56 * year, 3 * time.Hour}[n/oneOf%4]
}

// scanner returns how the scanner of kiosk n is.
func (s Scenario) scanner(n int, since, day time.Duration, h scan.Health) scan.Health {
	if at := within(since, day); s != SickScanner || n%oneOf != 0 || at < sickFrom || at >= sickTo {
		return h
	}
	switch n / oneOf % 3 {
	case 0:
		h.Present = false
	case 1:
		h.Babbling, h.BadShare = true, 0.9
	case 2:
		h.Silent = true
	}
	return h
}
