package ingest

import (
	"context"
	"time"

	"github.com/qrgate/qrgate/sync/wire"
)

// listSenders is how many kiosks are sent parts of the list at once: few, because
// receipts matter more than how soon the last kiosk knows of a void card.
const listSenders = 4

// listPause is how long a kiosk that asks again is not sent anything, so that a
// beat that came twice or one that asks for ever costs no more than a beat.
const listPause = time.Second

// A parcel is what one kiosk is sent of the list, or of events.
type parcel struct {
	kiosk string
	on    wire.Channel
	parts [][]byte
}

// A holding is what a kiosk holds of the list.
type holding struct {
	stamp wire.Stamp
	said  time.Time // when it was said in a beat
	sent  time.Time // when parts were last sent
	event time.Time // when events were last sent
}

// recently is how long ago the last beat of a kiosk is that is told of news: three
// of its beats.
const recently = 90 * time.Second

// offerList has a kiosk sent what its beat asks for, and returns the newest
// version of the list.
func (in *Ingest) offerList(m message, b *wire.Beat) wire.Stamp {
	if in.Lists == nil || b.List == nil {
		return wire.Stamp{}
	}
	h := in.holds[m.kiosk]
	h.stamp, h.said = b.List.Stamp, m.at
	newest, parts := in.Lists.Answer(*b.List)
	if len(parts) > 0 && m.at.Sub(h.sent) >= listPause && in.post(m.kiosk, wire.DownList, parts) {
		h.sent = m.at
	}
	in.holds[m.kiosk] = h
	return newest
}

// offerEvents has a kiosk sent the events that it lacks, and returns what it is granted
// of the limits on people inside.
func (in *Ingest) offerEvents(ctx context.Context, m message, b *wire.Beat) []wire.GrantAnswer {
	if in.Doors == nil || b.Room == nil {
		return nil
	}
	if lacks := in.Doors.Lacks(m.kiosk, b.Room.Events); len(lacks) > 0 {
		h := in.holds[m.kiosk]
		if m.at.Sub(h.event) >= listPause && in.post(m.kiosk, wire.DownEvent, lacks) {
			h.event = m.at
			in.holds[m.kiosk] = h
		}
	}
	grants, err := in.Doors.Grant(ctx, m.kiosk, b.Room.Counts)
	if err != nil && ctx.Err() == nil {
		in.log.Warn("nothing granted", "kiosk", m.kiosk, "err", err) // its next beat asks again
	}
	return grants
}

// pushList has every kiosk that has beaten lately sent what has changed. Whole lists
// wait for the next beat.
func (in *Ingest) pushList() {
	now := in.now()
	for kiosk, h := range in.holds {
		if now.Sub(h.said) > recently {
			delete(in.holds, kiosk)
			continue
		}
		newest, parts := in.Lists.Answer(wire.ListBeat{Stamp: h.stamp})
		if len(parts) == 1 && newest.Generation == h.stamp.Generation && in.post(kiosk, wire.DownList, parts) {
			h.sent = now
			in.holds[kiosk] = h
		}
	}
}

// post hands parts to the senders, or drops them if they have no room.
func (in *Ingest) post(kiosk string, on wire.Channel, parts [][]byte) bool {
	select {
	case in.parcels <- parcel{kiosk, on, parts}:
		return true
	default:
		in.nDropped.Add(1)
		return false
	}
}

// sendLists sends parcels until ctx ends. A part that is lost is missing in the
// next beat.
func (in *Ingest) sendLists(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case p := <-in.parcels:
			for _, part := range p.parts {
				in.publish(ctx, func() (string, []byte) { return wire.Topic(p.kiosk, p.on), part })
			}
		}
	}
}
