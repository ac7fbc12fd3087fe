package kiosk

import (
	"context"
	"slices"
	"time"

	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

// maxPhones is how many numbers are taken within tryTime, right or wrong: people who type
// do not come faster, and whoever would fill the ledger with numbers does.
const maxPhones = 8

// EnterPhone checks in whoever has neither phone nor card, by a telephone number as they
// have typed it. It is sealed like every subject, and nothing of it stays here; the record
// says that it was typed. Faces tell the answer. It needs [Kiosk.Run] to run.
func (k *Kiosk) EnterPhone(ctx context.Context, number string) error {
	return k.touch(ctx, touch{phone: number})
}

// judgePhone judges a number that somebody has typed.
func (k *Kiosk) judgePhone(typed string, now time.Time) judgment {
	j := judgment{kind: pass.Phone, verdict: wire.Refused, presence: wire.Typed}
	number, err := pass.ParsePhone(typed)
	switch {
	case k.locked():
		j.reason = wire.ReasonLocked
	case !slices.Contains(k.Config.Accept, pass.Phone):
		j.reason = wire.ReasonKind
	case !k.phones.below(maxPhones, now):
		j.reason = wire.ReasonTries
	default:
		k.phones.wrong(now)
		if j.reason = reasonFor(err); j.reason == wire.NoReason {
			j.verdict, j.subject = wire.Admitted, &wire.Subject{Kind: pass.Phone, Number: number}
		}
	}
	return j
}
