package fleet

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/qrgate/qrgate/server/area"
	"github.com/qrgate/qrgate/server/qrgate"
)

// A Subscription says who is told of alarms within a scope.
type Subscription struct {
	ID      string
	Account string
	Scope   qrgate.Scope
	Address string // of the web; empty to get letters
	Email   string // of the account, empty if it has none that is confirmed
	Grave   bool   // only of what is grave
	Made    time.Time
}

// A Mute says of what nobody is told until a time.
type Mute struct {
	No    int64
	Kiosk string
	Kind  Kind // "" is all
	Until time.Time
	By    string // account
	Made  time.Time
}

// Muted reports whether nobody is to be told of an alarm at now.
func Muted(mutes []Mute, no int64, kind Kind, now time.Time) bool {
	return slices.ContainsFunc(mutes, func(m Mute) bool {
		return m.No == no && (m.Kind == "" || m.Kind == kind) && now.Before(m.Until)
	})
}

// Within reports whether a place is within a scope.
func Within(s qrgate.Scope, p *Place, now time.Time) bool {
	switch s.Kind {
	case qrgate.Everywhere:
		return true
	case qrgate.InOrganisation:
		return p.Organisation != "" && s.ID == p.Organisation
	case qrgate.InSector:
		return p.Sector != "" && slices.Contains(qrgate.SectorIDs(s.ID, now), p.Sector)
	case qrgate.InArea:
		scope, err := area.ParseID(s.ID)
		if err != nil {
			return false
		}
		in, err := area.ParseID(p.Area)
		return err == nil && area.Covers(scope, in)
	}
	return false
}

// An Item is an alarm as people are told of it.
type Item struct {
	Kiosk   string     `json:"kiosk"`
	Place   string     `json:"place"`
	PlaceNo uint32     `json:"place_no,omitempty"`
	Kind    Kind       `json:"kind"`
	Grave   bool       `json:"grave"`
	Since   time.Time  `json:"since"`
	Ended   *time.Time `json:"ended,omitempty"`
	Value   int64      `json:"value,omitempty"`
	About   string     `json:"about,omitempty"`
}

// A Message is what one subscriber is told at once.
type Message struct {
	Subscription Subscription `json:"-"`
	Version      int          `json:"version"`
	Made         time.Time    `json:"made"`
	Begun        []Item       `json:"begun"`
	Ended        []Item       `json:"ended"`
	More         int          `json:"more,omitempty"` // alarms beyond MaxItems
	// Outage is how many of the subscriber's kiosks went silent at once, and Back
	// that this is over.
	Outage int  `json:"outage,omitempty"`
	Back   bool `json:"outage_over,omitempty"`
}

// Body returns the message as it is sent to an address of the web.
func (m *Message) Body() []byte {
	b, err := json.Marshal(m)
	if err != nil {
		panic(err) // strings, numbers and times
	}
	return b
}

const (
	// MaxItems is how many alarms one message lists.
	MaxItems = 50
	// gather is how long an alarm waits for others that begin with it.
	gather = time.Minute
	// pace is the least time between two messages to the same people.
	pace = 5 * time.Minute
)

// Due reports whether something is to be told of at now, if people were last told at
// last.
func Due(alarms []Alarm, mutes []Mute, last, now time.Time) bool {
	if now.Sub(last) < pace {
		return false
	}
	return slices.ContainsFunc(alarms, func(a Alarm) bool { return begins(&a, mutes, now) || ends(&a) })
}

// begins reports whether people are to be told that an alarm began.
func begins(a *Alarm, mutes []Mute, now time.Time) bool {
	return a.Open() && a.Told.IsZero() && a.Acked.IsZero() && !a.Together && now.Sub(a.Since) >= gather && !Muted(mutes, a.No, a.Kind, now)
}

func ends(a *Alarm) bool { return !a.Open() && !a.Told.IsZero() && a.ToldEnd.IsZero() }

// Tell returns what each subscriber is to be told at now, and the alarms of which
// people were told then. Whoever may not know of a kiosk is told nothing of it.
func Tell(alarms []Alarm, mutes []Mute, subs []Subscription, kiosks map[int64]*Kiosk, now time.Time) (all []Message, told []Alarm) {
	alarms = slices.Clone(alarms)
	slices.SortFunc(alarms, Compare)
	type news struct {
		*Alarm
		end bool
	}
	var fresh []news
	for i := range alarms {
		a := &alarms[i]
		switch {
		case begins(a, mutes, now):
			fresh = append(fresh, news{a, false})
		case ends(a):
			fresh = append(fresh, news{a, true})
		}
	}
	for _, s := range subs {
		m := Message{Subscription: s, Version: 1, Made: now.UTC(), Begun: []Item{}, Ended: []Item{}}
		for _, n := range fresh {
			if s.Grave && !n.Grave {
				continue
			}
			if n.Kind == Outage {
				gone := 0
				for _, a := range alarms {
					if k := kiosks[a.No]; k != nil && a.Kind == IsSilent && a.Together && Within(s.Scope, &k.Place, now) {
						gone++
					}
				}
				if m.Back = n.end && s.Scope == qrgate.All; !n.end {
					m.Outage = gone
				}
				continue
			}
			k := kiosks[n.No]
			if k == nil || !Within(s.Scope, &k.Place, now) {
				continue
			}
			i := Item{Kiosk: k.ID, Place: k.Place.Name, PlaceNo: k.Place.No, Kind: n.Kind, Grave: n.Grave, Since: n.Since.UTC(), Value: n.Value, About: n.About}
			switch {
			case len(m.Begun)+len(m.Ended) >= MaxItems:
				m.More++
			case n.end:
				ended := n.Alarm.Ended.UTC()
				i.Ended = &ended
				m.Ended = append(m.Ended, i)
			default:
				m.Begun = append(m.Begun, i)
			}
		}
		if len(m.Begun)+len(m.Ended)+m.Outage > 0 || m.Back {
			all = append(all, m)
		}
	}
	for _, n := range fresh {
		if n.end {
			n.ToldEnd = now
		} else {
			n.Told = now
		}
		told = append(told, *n.Alarm)
	}
	return all, told
}
