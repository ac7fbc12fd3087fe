// Package quota keeps a limit on how many people are inside when several gates
// count and any of them may be cut off.
//
// Each gate holds rights: one is used up by whoever comes in and comes back with
// whoever goes out. Rights come from the server alone, which never gives more than
// the limit, so however the network is cut, all gates together let in no more than
// the limit, and a gate that has rights left asks nobody.
//
//	c.Enter()                       // gate: false if it has no right left
//	total := quota.Sum(counts)      // server, of all gates
//	granted := quota.Share(limit, counts, gate) // with each beat of a gate
//
// The promise: as long as gates let in by [Count.Enter] alone, the people counted
// inside are never more than the highest limit that was shared since the period
// began. Counts only rise, so they may be told late, twice and out of order: the
// highest of each is the truth.
//
// A gate that must not turn anybody away uses [Count.Force] instead: the limit is
// then a number on a screen and no promise.
//
// Which gates share a limit, and when a new period begins in which nobody is
// inside, is the callers' matter.
package quota

// A Count is what one gate has counted in one period. All of it only rises.
type Count struct {
	_        struct{} `cbor:",toarray"`
	Granted  uint64   // rights that the server gave
	Returned uint64   // rights that the gate gave back
	In       uint64   // people who came in
	Out      uint64   // people who went out
}

// Left returns how many rights a gate has left. It is below zero where people had
// to be let in regardless.
func (c Count) Left() int64 { return int64(c.Granted-c.Returned) - c.Inside() }

// Inside returns how many more came in here than went out, which is below zero
// where people come in by another gate.
func (c Count) Inside() int64 { return int64(c.In - c.Out) }

// Enter counts somebody in if a right is left.
func (c *Count) Enter() bool {
	if c.Left() <= 0 {
		return false
	}
	c.In++
	return true
}

// Force counts somebody in who is let in whatever the limit is.
func (c *Count) Force() { c.In++ }

// Leave counts somebody out.
func (c *Count) Leave() { c.Out++ }

// Return gives back up to n rights that are left.
func (c *Count) Return(n uint64) {
	if left := c.Left(); left > 0 {
		c.Returned += min(n, uint64(left))
	}
}

// Merge returns what is known of a gate by two of its counts.
func (c Count) Merge(d Count) Count {
	return Count{
		Granted: max(c.Granted, d.Granted), Returned: max(c.Returned, d.Returned),
		In: max(c.In, d.In), Out: max(c.Out, d.Out),
	}
}

// A Tally is what a gate has counted in its latest period.
type Tally struct {
	Period int64
	Count
}

// Roll begins a new period in which nobody is inside. The gate goes on to hold as many
// rights as it has, so that it need not be connected when a period begins.
func (t Tally) Roll(period int64) Tally {
	if period <= t.Period {
		return t
	}
	return Tally{period, Count{Granted: t.Granted - t.Returned}}
}

// Merge returns what is known of a gate by two of its tallies: the later period counts.
func (t Tally) Merge(u Tally) Tally {
	switch {
	case t.Period > u.Period:
		return t
	case t.Period < u.Period:
		return u
	}
	return Tally{t.Period, t.Count.Merge(u.Count)}
}

// A Gate is a gate's count as the server last heard it.
type Gate struct {
	Count
	Connected bool // the gate is heard of all the time
}

// A Grant is what the server answers a gate.
type Grant struct {
	_       struct{} `cbor:",toarray"`
	Granted uint64   // to be merged into the gate's count
	Return  uint64   // rights that the gate should give back if it has them
	Inside  int64    // people inside by all other gates, as far as the server knows
	Cut     bool     // some of the others are cut off: their people may have gone
	More    int64    // and so many more they may have let in meanwhile
	Limit   int64    // on the people inside by all gates
}

// Bounds returns how many people may be inside by all gates, at least and at most, for
// a gate whose last grant is g. Connected says that g is of just now.
func (g Grant) Bounds(c Count, connected bool) (least, most int64) {
	known := c.Inside() + g.Inside
	switch {
	case !connected:
		return 0, max(0, g.Limit-c.Left()) // nobody else has the rights that are left here
	case g.Cut:
		return 0, max(0, known+g.More)
	}
	return max(0, known), max(0, known)
}

// Share says what one of the gates gets, whose count must be the one that it has
// just told; nobody else may share the same limit meanwhile. Rights are spread evenly
// over the gates that are connected, and one that has more than its share is asked
// for the rest, but for its last. What was granted must be stored before the gate is
// told.
func Share(limit uint64, gates map[string]Gate, gate string) Grant {
	held, spare, connected := int64(0), int64(0), int64(0)
	needy := false // a gate has no right left
	var g Grant
	for id, of := range gates {
		left := max(0, of.Left())
		held += int64(of.Granted - of.Returned)
		if of.Connected || id == gate {
			connected++
			spare += left
			needy = needy || left == 0
		}
		if id == gate {
			continue
		}
		g.Inside += of.Inside()
		if !of.Connected {
			g.More += left
			g.Cut = true
		}
	}
	free := int64(limit) - held
	own := gates[gate].Count
	g.Granted, g.Limit = own.Granted, max(int64(limit), held)
	share := (max(0, free) + spare) / max(1, connected)
	uneven := (max(0, free) + spare) % max(1, connected)
	switch left := own.Left(); {
	case free > 0 && (left < share || left == share && uneven > 0 && (!needy || left == 0)):
		g.Granted += uint64(min(max(share, left+1)-left, free))
	case free < 0 && left > 0: // the limit was lowered
		g.Return = uint64(min(-free, left))
	case left > max(1, share) && (needy || left > share+1):
		g.Return = uint64(left - max(1, share))
	}
	return g
}
