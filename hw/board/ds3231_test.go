package board_test

import (
	"encoding/hex"
	"strings"
	"sync"
	"testing"
	"time"

	"periph.io/x/conn/v3/i2c/i2ctest"
	"periph.io/x/conn/v3/physic"
	"pgregory.net/rapid"

	"github.com/qrgate/qrgate/hw/board"
)

// registers returns a DS3231's registers: the time as seven bytes in hex, the
// status and the temperature.
func registers(clock string, status, celsius, quarter byte) []byte {
	t, err := hex.DecodeString(strings.ReplaceAll(clock, " ", ""))
	if err != nil || len(t) != 7 {
		panic("test: bad registers " + clock)
	}
	r := append(t, make([]byte, 12)...)
	r[0x0e], r[0x0f], r[0x11], r[0x12] = 0x1c, status, celsius, quarter
	return r
}

func TestReadDS3231(t *testing.T) {
	at := func(y int, mo time.Month, d, h, m, s int) time.Time { return time.Date(y, mo, d, h, m, s, 0, time.UTC) }
	tests := []struct {
		name  string
		clock string
		want  time.Time // zero: an error
	}{
		{"24 hours", "56 34 12 05 24 11 26", at(2026, 11, 24, 12, 34, 56)},
		{"leap day", "00 00 00 01 29 02 28", at(2028, 2, 29, 0, 0, 0)},
		{"midnight in 12 hours", "00 30 52 01 01 01 26", at(2026, 1, 1, 0, 30, 0)},
		{"noon in 12 hours", "00 30 72 01 01 01 26", at(2026, 1, 1, 12, 30, 0)},
		{"afternoon in 12 hours", "00 30 71 01 01 01 26", at(2026, 1, 1, 23, 30, 0)},
		{"next century", "00 00 00 06 01 81 00", at(2100, 1, 1, 0, 0, 0)},
		{"2099 is reported", "59 59 23 05 31 12 99", at(2099, 12, 31, 23, 59, 59)},
		{"bus floats high", "ff ff ff ff ff ff ff", time.Time{}},
		{"bus held low", "00 00 00 00 00 00 00", time.Time{}},
		{"no digit", "5a 00 00 01 01 01 26", time.Time{}},
		{"sixty seconds", "60 00 00 01 01 01 26", time.Time{}},
		{"hour 24", "00 00 24 01 01 01 26", time.Time{}},
		{"hour 0 in 12 hours", "00 00 40 01 01 01 26", time.Time{}},
		{"hour 13 in 12 hours", "00 00 53 01 01 01 26", time.Time{}},
		{"30 February", "00 00 00 01 30 02 26", time.Time{}},
		{"month 13", "00 00 00 01 01 13 26", time.Time{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bus := &i2ctest.Playback{DontPanic: true, Ops: []i2ctest.IO{
				{Addr: 0x68, W: []byte{0}, R: registers(tt.clock, 0x08, 0xf6, 0xc0)},
			}}
			got, err := board.NewDS3231(bus).Read()
			if tt.want.IsZero() {
				if err == nil {
					t.Errorf("Read() of %s = %v, want an error", tt.clock, got.Time)
				}
				return
			}
			if err != nil {
				t.Fatalf("Read() of %s = %v", tt.clock, err)
			}
			if want := (board.ChipReading{Time: tt.want, Celsius: -9.25}); got != want {
				t.Errorf("Read() of %s = %+v, want %+v", tt.clock, got, want)
			}
		})
	}
}

func TestSetDS3231(t *testing.T) {
	bus := &i2ctest.Playback{DontPanic: true, Ops: []i2ctest.IO{
		{Addr: 0x68, W: []byte{0x00, 0x56, 0x34, 0x05, 0x03, 0x24, 0x11, 0x26}},
		{Addr: 0x68, W: []byte{0x0e}, R: []byte{0x9c, 0x89}}, // stops on battery; has stopped; an alarm went off
		{Addr: 0x68, W: []byte{0x0e, 0x1c, 0x0b}},
	}}
	hanoi := time.FixedZone("ICT", 7*3600)
	if err := board.NewDS3231(bus).Set(time.Date(2026, 11, 24, 12, 34, 56, 999, hanoi)); err != nil {
		t.Errorf("Set = %v", err)
	}
	if err := bus.Close(); err != nil {
		t.Error(err)
	}
	for _, year := range []int{1970, 1999, 2200} {
		if err := board.NewDS3231(bus).Set(time.Date(year, 6, 1, 0, 0, 0, 0, time.UTC)); err == nil {
			t.Errorf("Set to the year %d = nil, want an error", year)
		}
	}
}

// A chip that answers on the bus as a DS3231 does.
type chip struct {
	mu   sync.Mutex
	regs [0x13]byte
}

func (c *chip) String() string                  { return "chip" }
func (c *chip) SetSpeed(physic.Frequency) error { return nil }
func (c *chip) Tx(_ uint16, w, r []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := int(w[0])
	at += copy(c.regs[at:], w[1:])
	copy(r, c.regs[at:])
	return nil
}

func TestWhatIsSetIsRead(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		first := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
		last := time.Date(2199, 12, 31, 23, 59, 59, 0, time.UTC).Unix()
		want := time.Unix(rapid.Int64Range(first, last).Draw(rt, "unix"), 0).UTC()
		c := board.NewDS3231(&chip{regs: [0x13]byte{0x0f: 0x80}})
		if err := c.Set(want); err != nil {
			rt.Fatalf("Set(%v) = %v", want, err)
		}
		got, err := c.Read()
		if err != nil || got.Time != want || got.Stopped {
			rt.Fatalf("Read() after Set(%v) = %+v, %v", want, got, err)
		}
	})
}

func TestOpenDS3231WithoutABus(t *testing.T) {
	if _, err := board.OpenDS3231(250); err == nil {
		t.Error("OpenDS3231(250) = nil, want an error")
	}
}

// Whatever a chip says, it is a time that the chip can be set to, or an error.
func FuzzDS3231(f *testing.F) {
	f.Add(registers("56 34 12 05 24 11 26", 0x08, 0x19, 0x40))
	f.Add(registers("00 30 72 01 01 81 99", 0x80, 0xff, 0xc0))
	f.Add(registers("ff ff ff ff ff ff ff", 0xff, 0xff, 0xff))
	f.Fuzz(func(t *testing.T, regs []byte) {
		var c chip
		copy(c.regs[:], regs)
		d := board.NewDS3231(&c)
		got, err := d.Read()
		if err != nil {
			return
		}
		if got.Celsius < -128 || got.Celsius > 128 {
			t.Errorf("Read() of % x = %v degrees", regs, got.Celsius)
		}
		if err := d.Set(got.Time); err != nil {
			t.Fatalf("Set(%v) = %v", got.Time, err)
		}
		again, err := d.Read()
		if err != nil || !again.Time.Equal(got.Time) || again.Stopped {
			t.Errorf("Read() after Set(%v) = %+v, %v", got.Time, again, err)
		}
	})
}
