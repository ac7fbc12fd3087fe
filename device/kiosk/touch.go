package kiosk

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
	"github.com/qrgate/qrgate/sync/words"
)

// Limits of what may be entered by touch.
const (
	MaxCompanions = pass.MaxCompanions
	// BringTime is how long after a check-in its companions may be entered.
	BringTime = 12 * time.Second

	maxTries = 5
	tryTime  = time.Minute
)

// ErrLate is returned for companions of a check-in that is not the last, is too
// long ago, or has had its companions.
var ErrLate = errors.New("kiosk: too late to enter companions")

// A touch is what somebody has entered on the screen.
type touch struct {
	code       string // or else
	phone      string // or else
	with       uint64
	companions int
	hand       *Answer // a guard's, who is told
	done       chan error
}

// A party is the last check-in, as long as it may bring companions.
type party struct {
	seq uint64
	at  time.Time
}

// Enter judges the code under a card's QR as somebody typed it. Faces tell the
// answer; Enter returns once they have. Five wrong codes close the entry for a
// minute. It needs [Kiosk.Run] to run.
func (k *Kiosk) Enter(ctx context.Context, code string) error {
	return k.touch(ctx, touch{code: code})
}

// Bring records n companions of the check-in numbered with: each a check-in that
// names nobody. It returns [ErrLate] if with may bring none, and needs
// [Kiosk.Run] to run.
func (k *Kiosk) Bring(ctx context.Context, with uint64, n int) error {
	if n < 1 || n > MaxCompanions {
		return fmt.Errorf("kiosk: %d companions, not 1 to %d", n, MaxCompanions)
	}
	return k.touch(ctx, touch{with: with, companions: n})
}

func (k *Kiosk) touch(ctx context.Context, t touch) error {
	t.done = make(chan error, 1)
	select {
	case k.touched <- t:
		return <-t.done
	case <-ctx.Done():
		return ctx.Err()
	}
}

// serveTouches does what is entered until ctx ends. Like a scan, a touch that
// meets broken storage ends the door.
func (k *Kiosk) serveTouches(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case t := <-k.touched:
			err := k.enter(t, time.Now())
			t.done <- err
			if err != nil && !errors.Is(err, ErrLate) {
				return err
			}
		}
	}
}

func (k *Kiosk) enter(t touch, now time.Time) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if t.companions > 0 {
		return k.bring(t.with, t.companions, now)
	}
	if t.hand != nil {
		return k.admitByHand(t, now)
	}
	if t.phone != "" {
		return k.answer("phone "+t.phone, now, func() judgment { return k.judgePhone(t.phone, now) })
	}
	return k.answer(typedText(t.code), now, func() judgment { return k.judgeTyped(t.code, now) })
}

// typedText returns what a code counts as: however it is grouped it is one code, and never
// a card's text.
func typedText(code string) string {
	return "typed " + strings.NewReplacer(" ", "", "-", "").Replace(strings.ToUpper(code))
}

// judgeTyped judges a typed code. It identifies and proves nothing, and the
// record says so.
func (k *Kiosk) judgeTyped(code string, now time.Time) judgment {
	if !slices.Contains(k.Config.Accept, pass.Typed) && !k.locked() {
		return judgment{kind: pass.Typed, verdict: wire.Refused, presence: wire.Typed, reason: wire.ReasonKind}
	}
	return k.judgeCode(code, &k.tries, now)
}

// judgeCode is judgeTyped at a door that takes typed codes, or for a guard.
func (k *Kiosk) judgeCode(code string, tries *tries, now time.Time) judgment {
	j := judgment{kind: pass.Typed, verdict: wire.Refused, presence: wire.Typed}
	p, err := pass.ParseTyped(code)
	switch {
	case k.locked():
		j.reason = wire.ReasonLocked
	case !tries.open(now):
		j.reason = wire.ReasonTries
	case err != nil || p.Card.Number == 0:
		tries.wrong(now)
		j.reason = wire.ReasonMalformed
	default:
		// A code is the same on every issue, so only a card that is void as a whole
		// is refused by it.
		if j.reason = reasonFor(k.checkList(p.Card.Number, pass.AllIssues)); j.reason != wire.NoReason {
			break
		}
		j.verdict, j.subject = wire.Admitted, &wire.Subject{Kind: pass.Typed, Card: p.Card.Number}
	}
	return j
}

func (k *Kiosk) bring(with uint64, n int, now time.Time) error {
	if k.last.seq == 0 || k.last.seq != with || now.Sub(k.last.at) > BringTime {
		return ErrLate
	}
	k.last = party{}
	j := judgment{verdict: wire.Admitted, presence: wire.Claimed, with: with}
	for i := range n {
		one := j
		entry := k.admit(&one)
		if one.verdict == wire.Refused { // there is no room for all
			k.tell(k.said(one, 0))
			k.log.Info("companions turned away", "asked", n, "in", i, "reason", one.reason)
			return nil
		}
		if _, err := k.record(one); err != nil {
			if k.onFault() != wire.AdmitUnrecorded {
				drop(entry)
				return k.fault(one, 1, err)
			}
			k.count(entry)
			for range n - i - 1 { // those behind go in as well
				k.count(k.admit(&judgment{verdict: j.verdict}))
			}
			return k.fault(one, n-i, err)
		}
		k.count(entry)
	}
	k.tell(Answer{State: words.Admitted, Seq: with, Brought: n})
	return nil
}

// tries remembers when the last wrong codes were typed.
type tries []time.Time

func (t *tries) open(now time.Time) bool { return t.below(maxTries, now) }

func (t *tries) below(most int, now time.Time) bool {
	*t = slices.DeleteFunc(*t, func(at time.Time) bool { return now.Sub(at) >= tryTime })
	return len(*t) < most
}

func (t *tries) wrong(now time.Time) { *t = append(*t, now) }
