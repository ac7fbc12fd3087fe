package orders

import (
	"time"

	"github.com/qrgate/qrgate/server/store/orders"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

// CardText returns what stands in the code of a command card.
func (o *Orders) CardText(c orders.Card) (string, error) {
	card := pass.CommandCard{
		Order: uint8(c.Kind), Key: uint8(o.sign.ID), Single: c.Single, Scope: pass.ForPlace, Target: pass.PlaceTarget(c.Place),
		Serial: c.Serial, Arg: c.Arg, From: c.From, Until: c.Until,
	}
	if c.Kiosk != "" {
		card.Scope, card.Target = pass.ForKiosk, pass.KioskTarget(c.Kiosk)
	}
	return pass.SignCommand(card, o.sign.Key)
}

// TimeText returns the code by which a telephone tells the time to the kiosk whose
// screen shows nonce.
func (o *Orders) TimeText(nonce pass.Target) (string, error) {
	now := o.o.Now()
	return pass.SignCommand(pass.CommandCard{
		Order: uint8(wire.OrderFloor), Key: uint8(o.sign.ID), Scope: pass.ForNonce, Target: nonce,
		Arg: wire.CardArg(wire.OrderFloor, wire.OrderArgs{Time: now.UnixMilli()}, 0), From: pass.HourOf(now), Until: pass.HourOf(now.Add(2 * time.Hour)),
	}, o.sign.Key)
}
