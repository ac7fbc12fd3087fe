package kiosk

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
	"github.com/qrgate/qrgate/sync/words"
)

// MaxChange is how many people more or fewer a guard can have counted at once: beyond it
// a digit was typed wrong.
const MaxChange = 2000

// ErrNotCounted is returned where nobody is counted, or what was counted cannot be.
var ErrNotCounted = errors.New("kiosk: no number of people inside that can be")

// A Witness hears what the door has recorded. It is called by the door itself, one
// judgment at a time, and must not wait.
type Witness interface {
	Judged(Judged)
	Undone(epoch wire.Epoch, seq uint64) // the check-in was taken back
}

// A Judged is one check-in that is on disk, whatever the verdict.
type Judged struct {
	Epoch  wire.Epoch
	Header wire.Header
	// Code is what stands under the card's QR; "" of whoever has shown none of our own
	// cards. It is for memory alone: with it, a time says who was where.
	Code string
}

// witness tells of a judgment that is on disk.
func (k *Kiosk) witness(epoch wire.Epoch, h wire.Header, j judgment) {
	if k.Witness == nil {
		return
	}
	told := Judged{Epoch: epoch, Header: h}
	if s := j.subject; s != nil && s.Card != 0 && s.Kind != pass.Event {
		told.Code = pass.TypedCode(s.Card)
	}
	k.Witness.Judged(told)
}

// Admit lets somebody through as a guard asks who sees them: by the code under their
// card as the guard has typed it, or with none somebody who has no card and is counted
// without a name. It returns what the door has answered, and needs [Kiosk.Run] to run.
func (k *Kiosk) Admit(ctx context.Context, code string) (Answer, error) {
	t := touch{code: code, hand: new(Answer)}
	err := k.touch(ctx, t)
	return *t.hand, err
}

// admitByHand serves one touch of a guard's. k.mu is held.
func (k *Kiosk) admitByHand(t touch, now time.Time) error {
	*t.hand = Answer{State: words.Again} // if the same was typed a moment ago
	k.hand = t.hand
	defer func() { k.hand = nil }()
	if t.code == "" {
		// Nobody is like another who has no card.
		return k.answer("by hand "+rand.Text(), now, func() judgment {
			if k.locked() {
				return refused(pass.Unknown, wire.ReasonLocked)
			}
			return judgment{verdict: wire.Admitted, presence: wire.Claimed}
		})
	}
	return k.answer(typedText(t.code), now, func() judgment { return k.judgeCode(t.code, &k.guardTries, now) })
}

// MayUndo returns the check-in that [Kiosk.Undo] would take back now, and false if there
// is none.
func (k *Kiosk) MayUndo(now time.Time) (seq uint64, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.taken.seq, k.mayUndo(now)
}

// UndoThat is [Kiosk.Undo] for a guard who has seen which check-in it is about: if
// somebody else was let in meanwhile the error is [ErrUndo].
func (k *Kiosk) UndoThat(seq uint64, now time.Time) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.taken.seq != seq {
		return ErrUndo
	}
	_, err := k.undo(now)
	return err
}

// SetInside has so many people be inside as a guard has counted them, and returns by how
// many that changes what was counted. Where other gates are not heard of it becomes the
// most that may be inside.
func (k *Kiosk) SetInside(people int) (change int, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.Room == nil {
		return 0, ErrNotCounted
	}
	_, most, _, _ := k.Inside()
	change = people - int(most)
	if change > MaxChange || change < -MaxChange {
		return 0, ErrNotCounted
	}
	return change, k.Room.Correct(change, k.certain())
}

// Inside returns how many people may be inside at the least and at the most, and the limit,
// which is 0 if there is none. Where nothing is known of other gates, known is false and it
// is what this door alone has counted.
func (k *Kiosk) Inside() (least, most, limit int64, known bool) {
	if k.Room == nil {
		return 0, 0, 0, false
	}
	now := k.certain()
	if least, most, limit, known = k.Room.Inside(now, k.Room.Connected()); !known {
		own := max(0, k.Room.Own(now))
		return own, own, 0, false
	}
	return max(0, least), max(0, most), limit, true
}

// Report records a difficulty, sealed to the server.
func (k *Kiosk) Report(d wire.Difficulty) error {
	if err := d.Validate(); err != nil {
		return err
	}
	_, err := k.Queue.Put(func(epoch wire.Epoch, seq uint64) (wire.Record, wire.Context, error) {
		h := wire.Header{Seq: seq, Kind: wire.KindDifficulty}
		h.At(k.Clock.Read())
		box, ctx, err := k.Sealer.Seal(time.Now(), wire.AdditionalData(k.ID, epoch, wire.Encode(h)), wire.Encode(d))
		return wire.NewRecord(h, box), ctx, err
	})
	return err
}

// A Standing is how the door is set now.
type Standing struct {
	Config    wire.KioskConfig
	Direction wire.Direction // an order may have turned it
	Locked    bool
	Faulty    bool // the last judgment could not be recorded
}

// Standing returns how the door is set now.
func (k *Kiosk) Standing() Standing {
	k.mu.Lock()
	defer k.mu.Unlock()
	return Standing{k.Config, k.direction(), k.locked(), k.faulty}
}
