package board

import (
	"bytes"
	"cmp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Health is the state of the machine at one moment. Each part says whether it
// is known; an unknown part is otherwise zero.
type Health struct {
	Uptime      time.Duration // as SinceBoot
	Temperature Temperature
	Power       Power
	Clock       Clock
	Chip        Chip
	Memory      Memory
	Disks       []Disk // one for each of Options.Disks, in that order
}

// Temperature is the hottest of the machine's thermal zones.
type Temperature struct {
	Known   bool
	Celsius float64
}

// Power is what the Raspberry Pi's firmware says of its supply.
type Power struct {
	Known        bool
	UnderVoltage bool // now below 4.63 V
	Throttled    bool // now slowed down, for heat or for lack of power

	// The same at any time since the machine started; false where only
	// the present is told.
	UnderVoltageSinceBoot bool
	ThrottledSinceBoot    bool
}

// Clock is what the kernel says of its own clock.
type Clock struct {
	Known    bool
	Synced   bool          // something, NTP for example, disciplines it
	MaxError time.Duration // the kernel's bound; means nothing unless Synced
}

// Chip is the battery-backed clock, read through the kernel or, given
// Options.Chip, from the chip.
type Chip struct {
	Known       bool
	Time        time.Time // UTC
	Stopped     bool      // it has stood still since it was set: Time is wrong
	Temperature Temperature
}

// Memory is main memory, in bytes.
type Memory struct {
	Known            bool
	Total, Available uint64
}

// A Disk is the file system that holds Path, in bytes.
type Disk struct {
	Path        string
	Known       bool
	Total, Free uint64 // Free is what a program without privileges may fill
	ReadOnly    bool   // an ext4 that found an error mounts itself so
}

// Health reads the state of the machine. It takes some milliseconds with a
// clock chip and less without.
func (b *Board) Health() Health {
	h := Health{
		Uptime:      b.SinceBoot(),
		Temperature: b.temperature(),
		Power:       b.power(),
		Clock:       clock(),
		Chip:        b.clockChip(),
		Memory:      b.memory(),
	}
	for _, path := range b.disks {
		h.Disks = append(h.Disks, disk(path))
	}
	return h
}

func (b *Board) temperature() (t Temperature) {
	for _, name := range b.glob("sys/class/thermal/thermal_zone*/temp") {
		milli, err := strconv.Atoi(b.line(name))
		// Zones that are switched off say -273 or such.
		if err != nil || milli < -55_000 || milli > 150_000 {
			continue
		}
		if c := float64(milli) / 1000; !t.Known || c > t.Celsius {
			t = Temperature{Known: true, Celsius: c}
		}
	}
	return t
}

// Bits of the firmware's get_throttled.
const (
	underVoltageNow  = 1 << 0
	throttledNow     = 1<<1 | 1<<2 | 1<<3 // frequency capped, throttled, soft temperature limit
	underVoltageSeen = underVoltageNow << 16
	throttledSeen    = throttledNow << 16
)

func (b *Board) power() Power {
	// The node lies below soc:firmware up to the Pi 4, elsewhere on later ones.
	for _, pattern := range []string{
		"sys/devices/platform/*firmware/get_throttled",
		"sys/devices/platform/*/*firmware/get_throttled",
	} {
		for _, name := range b.glob(pattern) {
			bits, err := strconv.ParseUint(strings.TrimPrefix(b.line(name), "0x"), 16, 32)
			if err != nil {
				continue
			}
			return Power{
				Known:                 true,
				UnderVoltage:          bits&underVoltageNow != 0,
				Throttled:             bits&throttledNow != 0,
				UnderVoltageSinceBoot: bits&underVoltageSeen != 0,
				ThrottledSinceBoot:    bits&throttledSeen != 0,
			}
		}
	}
	for _, name := range b.glob("sys/class/hwmon/hwmon*/name") {
		if b.line(name) != "rpi_volt" {
			continue
		}
		alarm := b.line(strings.TrimSuffix(name, "name") + "in0_lcrit_alarm")
		if alarm == "0" || alarm == "1" {
			return Power{Known: true, UnderVoltage: alarm == "1"}
		}
	}
	return Power{}
}

func clock() Clock {
	var tx unix.Timex // no modes: only asks
	state, err := unix.Adjtimex(&tx)
	if err != nil {
		return Clock{} // a container's seccomp filter, for example
	}
	return Clock{
		Known:    true,
		Synced:   state != unix.TIME_ERROR && tx.Status&unix.STA_UNSYNC == 0,
		MaxError: time.Duration(tx.Maxerror) * time.Microsecond,
	}
}

func (b *Board) clockChip() Chip {
	if b.chip != nil {
		r, err := b.chip.Read()
		if err != nil {
			return Chip{}
		}
		return Chip{
			Known:       true,
			Time:        r.Time,
			Stopped:     r.Stopped,
			Temperature: Temperature{Known: true, Celsius: r.Celsius},
		}
	}
	// A chip that has stopped refuses to be read through the kernel.
	for _, name := range b.glob("sys/class/rtc/rtc*/since_epoch") {
		if s, err := strconv.ParseInt(b.line(name), 10, 64); err == nil && s >= 0 && s < endOfTime.Unix() {
			return Chip{Known: true, Time: time.Unix(s, 0).UTC()}
		}
	}
	return Chip{}
}

func (b *Board) memory() (m Memory) {
	var haveTotal, haveAvailable bool
	for line := range bytes.Lines(b.file("proc/meminfo")) {
		fields := strings.Fields(string(line))
		if len(fields) != 3 || fields[2] != "kB" {
			continue
		}
		kB, err := strconv.ParseUint(fields[1], 10, 54) // times 1024 still fits
		if err != nil {
			continue
		}
		switch fields[0] {
		case "MemTotal:":
			m.Total, haveTotal = kB<<10, true
		case "MemAvailable:":
			m.Available, haveAvailable = kB<<10, true
		}
	}
	if !haveTotal || !haveAvailable {
		return Memory{}
	}
	m.Known = true
	return m
}

func disk(path string) Disk {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return Disk{Path: path}
	}
	// Blocks are counted in fragments; some file systems leave those at 0.
	size := uint64(cmp.Or(st.Frsize, st.Bsize))
	return Disk{
		Path:     path,
		Known:    true,
		Total:    st.Blocks * size,
		Free:     st.Bavail * size,
		ReadOnly: st.Flags&unix.ST_RDONLY != 0,
	}
}
