package board

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"periph.io/x/conn/v3/i2c"
	"periph.io/x/host/v3/sysfs"
)

// Registers of the DS3231 (Maxim 19-5170, page 11).
const (
	ds3231Addr = 0x68

	regSeconds = 0x00
	regControl = 0x0e
	regStatus  = 0x0f
	regCelsius = 0x11
	regEnd     = 0x13

	hour12  = 0x40 // hours register: 12-hour form
	hourPM  = 0x20 // then: afternoon
	century = 0x80 // month register: 2100 and later, as the kernel's driver has it
	eosc    = 0x80 // control register: stop on battery
	osf     = 0x80 // status register: the oscillator has stopped
	alarms  = 0x03 // status register: alarm flags, left alone by writing ones
)

// A DS3231 counts from the first of these times to just before the second.
var (
	firstTime = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	endOfTime = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)
)

var errRegisters = errors.New("registers hold no time")

// A DS3231 is the clock chip of that name on an I²C bus; the DS3232 answers
// alike. Where the kernel drives the chip (dtoverlay=i2c-rtc,ds3231) it need
// not be opened: Health reads it through the kernel. Its methods may be called
// from several goroutines, on a bus that allows it.
type DS3231 struct {
	dev i2c.Dev
}

// A ChipReading is what a DS3231 says.
type ChipReading struct {
	Time    time.Time // UTC, to the second
	Stopped bool      // it was without power and battery since it was set
	Celsius float64   // inside the chip, in quarters
}

// NewDS3231 returns the chip on bus. It does not touch the bus.
func NewDS3231(bus i2c.Bus) *DS3231 {
	return &DS3231{dev: i2c.Dev{Bus: bus, Addr: ds3231Addr}}
}

// OpenDS3231 returns the chip on /dev/i2c-<bus>, 1 on a Raspberry Pi, which
// stays open until the program ends. Whether a chip answers is found by the
// first Read.
func OpenDS3231(bus int) (*DS3231, error) {
	b, err := sysfs.NewI2C(bus)
	if err != nil {
		return nil, fmt.Errorf("board: ds3231: %w", err)
	}
	return NewDS3231(b), nil
}

// Read reads the chip. The time is an error if it is none that a calendar
// has; it is returned, with Stopped, if it may be wrong.
func (d *DS3231) Read() (ChipReading, error) {
	// One transfer: the chip holds the time still while it is read.
	var r [regEnd]byte
	if err := d.dev.Tx([]byte{regSeconds}, r[:]); err != nil {
		return ChipReading{}, fmt.Errorf("board: ds3231: read: %w", err)
	}
	t, err := decodeTime(r[:7])
	if err != nil {
		return ChipReading{}, fmt.Errorf("board: ds3231: %w: % x", err, r[:7])
	}
	return ChipReading{
		Time:    t,
		Stopped: r[regStatus]&osf != 0,
		Celsius: float64(int16(binary.BigEndian.Uint16(r[regCelsius:]))) / 256,
	}, nil
}

// Set sets the chip to t, rounded down to the second, lets it run on its
// battery and declares it right. t must lie in the years 2000 to 2199.
func (d *DS3231) Set(t time.Time) error {
	t = t.UTC()
	if t.Before(firstTime) || !t.Before(endOfTime) {
		return fmt.Errorf("board: ds3231: set: year %d is not between 2000 and 2199", t.Year())
	}
	month := bcd(int(t.Month()))
	if t.Year() >= 2100 {
		month |= century
	}
	now := []byte{
		regSeconds,
		bcd(t.Second()), bcd(t.Minute()), bcd(t.Hour()),
		byte(t.Weekday()) + 1,
		bcd(t.Day()), month, bcd(t.Year() % 100),
	}
	if err := d.dev.Tx(now, nil); err != nil {
		return fmt.Errorf("board: ds3231: set time: %w", err)
	}
	var status [2]byte // control and status
	if err := d.dev.Tx([]byte{regControl}, status[:]); err != nil {
		return fmt.Errorf("board: ds3231: set: read status: %w", err)
	}
	// Last, so that a power cut in between leaves a chip that says it is wrong.
	right := []byte{regControl, status[0] &^ eosc, status[1]&^osf | alarms}
	if err := d.dev.Tx(right, nil); err != nil {
		return fmt.Errorf("board: ds3231: set status: %w", err)
	}
	return nil
}

func bcd(n int) byte { return byte(n/10<<4 | n%10) }

// decodeTime reads the seven time registers. It refuses what the chip cannot
// have counted to: an absent chip on a bus that floats reads as ff or 00.
func decodeTime(r []byte) (time.Time, error) {
	ok := true
	num := func(b byte) int {
		if b>>4 > 9 || b&15 > 9 {
			ok = false
		}
		return int(b>>4)*10 + int(b&15)
	}
	hour := num(r[2] & 0x3f)
	if r[2]&hour12 != 0 {
		hour = num(r[2] & 0x1f)
		ok = ok && hour >= 1 && hour <= 12
		hour %= 12
		if r[2]&hourPM != 0 {
			hour += 12
		}
	}
	year := 2000 + num(r[6])
	if r[5]&century != 0 {
		year += 100
	}
	sec, minute, day, month := num(r[0]), num(r[1]), num(r[4]), num(r[5]&^century)
	t := time.Date(year, time.Month(month), day, hour, minute, sec, 0, time.UTC)
	if !ok || t.Second() != sec || t.Minute() != minute || t.Hour() != hour || t.Day() != day || int(t.Month()) != month {
		return time.Time{}, errRegisters
	}
	return t, nil
}
