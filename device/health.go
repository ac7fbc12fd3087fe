package main

import (
	"crypto/sha256"
	"encoding/hex"
	"math"

	"github.com/qrgate/qrgate/hw/board"
	"github.com/qrgate/qrgate/hw/qrread"
	"github.com/qrgate/qrgate/sync/wire"
)

// A nameplate is what a beat says of the machine itself.
type nameplate struct{ model, serial string }

// nameplateOf reads what does not change while the program runs. Of a serial number
// only a hash leaves the machine: enough to see that another one took its place.
func nameplateOf(m *board.Board) nameplate {
	n := nameplate{model: m.Model()}
	n.model = n.model[:min(len(n.model), wire.MaxModel)]
	if cpu := m.Identity().CPU; cpu != "" {
		sum := sha256.Sum256([]byte("qrgate machine\x00" + cpu))
		n.serial = hex.EncodeToString(sum[:8])
	}
	return n
}

func (n nameplate) fill(b *wire.Beat) { b.Model, b.Serial = n.model, n.serial }

func powerOf(p board.Power) wire.PowerFlags {
	if !p.Known {
		return 0
	}
	f := wire.PowerKnown
	for flag, set := range map[wire.PowerFlags]bool{
		wire.UnderVoltage: p.UnderVoltage, wire.Throttled: p.Throttled, wire.WasUnder: p.UnderVoltageSinceBoot, wire.WasThrottled: p.ThrottledSinceBoot,
	} {
		if set {
			f |= flag
		}
	}
	return f
}

// hintsOf returns what a beat says of the hints that a camera gave.
func hintsOf(given map[string]uint64) wire.HintBeat {
	count := func(h qrread.Hint) uint32 { return uint32(min(given[string(h)], math.MaxUint32)) }
	return wire.HintBeat{Closer: count(qrread.Closer), HoldStill: count(qrread.HoldStill), Tilt: count(qrread.Tilt), Light: count(qrread.Light)}
}

// shareOf returns a share of one in per cent.
func shareOf(share float64) uint8 { return uint8(math.Round(min(max(share, 0), 1) * 100)) }
