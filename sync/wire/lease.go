package wire

// A LeaseBeat is what a kiosk says of its lease: how long it may be switched on without
// a word from its server before it gives up lists and events.
type LeaseBeat struct {
	Term  int64  `cbor:"1,keyasint"`           // seconds
	Used  int64  `cbor:"2,keyasint,omitempty"` // of them, until this beat
	Ended bool   `cbor:"3,keyasint,omitempty"` // lists and events are given up
	Ends  uint32 `cbor:"4,keyasint,omitempty"` // leases of this kiosk that have ended
}

// A LeaseConfig is what the portal says of the lease. Nil is not said.
type LeaseConfig struct {
	Days *uint16 `cbor:"1,keyasint,omitempty"`
}

// MaxLeaseDays is the longest lease; the shortest is a day.
const MaxLeaseDays = 366

func (c LeaseConfig) valid() bool { return c.Days == nil || *c.Days >= 1 && *c.Days <= MaxLeaseDays }
