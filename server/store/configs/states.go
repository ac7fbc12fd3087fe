package configs

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"time"

	"github.com/qrgate/qrgate/server/fleet/configs"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/sync/wire"
)

// A State is what a kiosk has last told of its configuration.
type State struct {
	Up      bool
	Contact time.Time        // zero if it never told anything
	Config  *wire.ConfigBeat // nil if it said nothing of it
}

// States returns what each kiosk has last told.
func (c *Configs) States(ctx context.Context) (map[string]State, error) {
	return c.states(ctx, "")
}

// State returns what one kiosk has last told.
func (c *Configs) State(ctx context.Context, kiosk string) (State, error) {
	all, err := c.states(ctx, " WHERE k.id = ?", kiosk)
	return all[kiosk], err
}

func (c *Configs) states(ctx context.Context, where string, args ...any) (map[string]State, error) {
	all := map[string]State{}
	err := c.s.Read(ctx, func(rows *sql.Rows) error {
		var id string
		var s State
		var contact int64
		var beat []byte
		if err := rows.Scan(&id, &s.Up, &contact, &beat); err != nil {
			return err
		}
		if contact > 0 {
			s.Contact = time.UnixMilli(contact)
		}
		var b struct {
			Config *wire.ConfigBeat `cbor:"41,keyasint"`
		}
		if beat != nil {
			if err := wire.Decode(beat, &b); err != nil {
				return err
			}
		}
		s.Config = b.Config
		all[id] = s
		return nil
	}, "SELECT k.id, p.up, p.contact, p.beat FROM presences p JOIN kiosks k ON k.no = p.kiosk_no"+where, args...)
	if err != nil {
		return nil, fmt.Errorf("configs: states: %w", err)
	}
	return all, nil
}

// Generation returns the generation of stamps.
func (c *Configs) Generation(ctx context.Context) (uint64, error) { return c.s.Generation(ctx) }

// A Door is where a new kiosk stands.
type Door struct {
	Kiosk     string
	Gate      string
	Lane      uint8
	Direction wire.Direction
	Replaces  string // the kiosk whose settings it takes over; may be empty
}

// Begin says where a new kiosk stands, in the transaction that enrols it: the first
// version of its layer, or the next of one that is enrolled again.
func Begin(t store.Tx, now time.Time, d Door, by string) error {
	id := configs.Kiosk(d.Kiosk)
	base, said, err := newestOf(t, id)
	if err != nil {
		return err
	}
	if d.Replaces != "" {
		if _, said, err = newestOf(t, configs.Kiosk(d.Replaces)); err != nil {
			return err
		}
	}
	next := maps.Clone(said)
	if next == nil {
		next = configs.Settings{}
	}
	next["door.lane"] = fmt.Sprint(d.Lane)
	if d.Gate != "" {
		next["door.gate"] = d.Gate
	}
	if d.Direction == wire.In || d.Direction == wire.Out {
		next["door.direction"] = d.Direction.String()
	}
	_, err = SaveIn(t, now, Change{Layer: id, Base: base, Settings: next, By: by})
	if err != nil || d.Replaces == "" {
		return err
	}
	_, err = t.Exec(`INSERT INTO config_members (kiosk_no, group_id)
		SELECT k.no, m.group_id FROM kiosks k, kiosks o JOIN config_members m ON m.kiosk_no = o.no WHERE k.id = ? AND o.id = ?
		ON CONFLICT (kiosk_no) DO NOTHING`, d.Kiosk, d.Replaces)
	return err
}
