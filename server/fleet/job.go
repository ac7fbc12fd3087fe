package fleet

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
)

// A Keeper keeps what is known of kiosks and their alarms: package store/fleet.
type Keeper interface {
	// Lease reports whether it is this server's turn to judge, for some time.
	Lease(ctx context.Context, lasts time.Duration) (bool, error)
	Kiosks(ctx context.Context) ([]*Kiosk, error)
	Ledgers(ctx context.Context, now time.Time) (map[string]Ledger, error)
	// Current returns the alarms that last, and those of whose end people are to be
	// told.
	Current(ctx context.Context) ([]Alarm, error)
	SaveAlarms(ctx context.Context, alarms []Alarm) error
	SaveComings(ctx context.Context, comings []Coming) error
	Mutes(ctx context.Context, now time.Time) ([]Mute, error)
	Subscriptions(ctx context.Context) ([]Subscription, error)
	// SaveTold notes that people were told of alarms, together with the messages to
	// addresses of the web, which wait there until [Poster] has sent them.
	SaveTold(ctx context.Context, told []Alarm, posts []Post) error
	// Usual returns how many scans a kiosk makes as a rule in such hours as those
	// before now.
	Usual(ctx context.Context, no int64, over time.Duration, now time.Time) (scans int64, known bool, err error)
	// Prune drops what is older than it is kept.
	Prune(ctx context.Context, now time.Time) (more bool, err error)
}

// A Coming is when a kiosk came or went.
type Coming struct {
	No      int64
	At      time.Time
	Up      bool
	Session uint64
}

// A Job judges the kiosks again and again, on one of several servers.
type Job struct {
	Keeper Keeper
	// Linked returns since when this server hears kiosks, or zero.
	Linked func() time.Time
	// Letter sends a message to a person; nil if this server sends no letters.
	Letter func(Message) error
	Extra  []func(k *Kiosk, now time.Time) Finding
	Now    func() time.Time
	Log    *slog.Logger

	watch   Watch
	ledgers map[string]Ledger
	counted time.Time // when ledgers were read
	changed map[int64]time.Time
	usual   map[int64]usual
	last    time.Time // when people were told
	pruned  time.Time

	figures atomic.Pointer[Figures]
}

type usual struct {
	at    time.Time
	scans int64
	known bool
}

// Figures are how many kiosks are in each state, and how many alarms of each kind last
// that nobody has in hand.
type Figures struct {
	States map[State]int
	Alarms map[Kind]int
	Grave  int
}

// Figures returns what the last judgement found, or nil before the first, and on a
// server whose turn it is not.
func (j *Job) Figures() *Figures { return j.figures.Load() }

const (
	judgeEvery  = 5 * time.Second
	leaseLasts  = 20 * time.Second
	ledgerEvery = time.Minute
	usualEvery  = 15 * time.Minute
	// usualAtOnce bounds the questions of what is usual in one judgement.
	usualAtOnce = 100
	pruneEvery  = 10 * time.Minute
)

// Run judges until ctx ends.
func (j *Job) Run(ctx context.Context) error {
	failed := false
	for {
		began := time.Now()
		err := j.Once(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil && !failed {
			j.Log.Warn("kiosks not judged", "err", err, "retry_in", judgeEvery)
		}
		failed = err != nil
		// A judgement of ten thousand kiosks leaves the processor to others for nine
		// tenths of the time, and never lets the lease end.
		rest := time.NewTimer(min(max(judgeEvery, 9*time.Since(began)), leaseLasts/2))
		select {
		case <-ctx.Done():
			rest.Stop()
			return nil
		case <-rest.C:
		}
	}
}

// Once judges all kiosks as they are now, unless another server does.
func (j *Job) Once(ctx context.Context) error {
	mine, err := j.Keeper.Lease(ctx, leaseLasts)
	if err != nil {
		return fmt.Errorf("fleet: %w", err)
	}
	if !mine {
		j.figures.Store(nil)
		return nil
	}
	now := j.Now()
	kiosks, err := j.Keeper.Kiosks(ctx)
	if err != nil {
		return fmt.Errorf("fleet: %w", err)
	}
	if err := j.readLedgers(ctx, kiosks, now); err != nil {
		return fmt.Errorf("fleet: %w", err)
	}
	current, err := j.Keeper.Current(ctx)
	if err != nil {
		return fmt.Errorf("fleet: %w", err)
	}
	if err := j.saveComings(ctx, kiosks); err != nil {
		return fmt.Errorf("fleet: %w", err)
	}
	current, err = j.judge(ctx, kiosks, current, now)
	if err != nil {
		return fmt.Errorf("fleet: %w", err)
	}
	j.count(kiosks, current, now)
	if err := j.tell(ctx, kiosks, current, now); err != nil {
		return fmt.Errorf("fleet: %w", err)
	}
	if now.Sub(j.pruned) >= pruneEvery {
		more, err := j.Keeper.Prune(ctx, now)
		if err != nil {
			return fmt.Errorf("fleet: %w", err)
		}
		if !more {
			j.pruned = now
		}
	}
	return nil
}

func (j *Job) readLedgers(ctx context.Context, kiosks []*Kiosk, now time.Time) error {
	if j.ledgers == nil || now.Sub(j.counted) >= ledgerEvery {
		ledgers, err := j.Keeper.Ledgers(ctx, now)
		if err != nil {
			return err
		}
		j.ledgers, j.counted = ledgers, now
	}
	for _, k := range kiosks {
		k.Ledger = j.ledgers[k.ID]
	}
	return nil
}

// saveComings writes down which kiosks came or went since the last judgement.
func (j *Job) saveComings(ctx context.Context, kiosks []*Kiosk) error {
	next := make(map[int64]time.Time, len(kiosks))
	var comings []Coming
	for _, k := range kiosks {
		if k.Changed.IsZero() {
			continue
		}
		next[k.No] = k.Changed
		if !j.changed[k.No].Equal(k.Changed) {
			comings = append(comings, Coming{k.No, k.Changed, k.Up, k.Session})
		}
	}
	if len(comings) > 0 {
		if err := j.Keeper.SaveComings(ctx, comings); err != nil {
			return err
		}
	}
	j.changed = next
	return nil
}

// cloneRests is how long after two of a kiosk were last heard of that is over.
const cloneRests = time.Hour

// judge returns the current alarms as they are from now on, kept.
func (j *Job) judge(ctx context.Context, kiosks []*Kiosk, current []Alarm, now time.Time) ([]Alarm, error) {
	asked := 0
	look := Look{Now: now, Linked: j.Linked(), Release: Newest(kiosks), Extra: j.Extra, Usual: func(k *Kiosk, over time.Duration) (int64, bool) {
		return j.usually(ctx, k, over, now, &asked)
	}}
	judged := make([]Judged, len(kiosks))
	at := make(map[int64]int, len(kiosks))
	for i, k := range kiosks {
		at[k.No] = i
		judged[i] = Judged{No: k.No, Kiosk: k.ID, Alive: k.State == qrgate.KioskActive && !k.heard().IsZero(), Findings: Judge(k, look)}
	}
	var open []Alarm
	for _, a := range current {
		if !a.Open() {
			continue
		}
		open = append(open, a)
		if i, ok := at[a.No]; ok && a.Kind == IsCloned && now.Sub(a.Seen) >= cloneRests {
			judged[i].Findings = append(judged[i].Findings, Finding{Kind: IsCloned})
		}
	}
	changed := j.watch.Step(open, judged, now)
	if len(changed) == 0 {
		return current, nil
	}
	if err := j.Keeper.SaveAlarms(ctx, changed); err != nil {
		return nil, err
	}
	byID := map[key]int{}
	for i, a := range current {
		if a.Open() {
			byID[key{a.No, a.Kind}] = i
		}
	}
	for _, a := range changed {
		i, before := byID[key{a.No, a.Kind}]
		switch {
		case !before:
			current = append(current, a)
			j.Log.Info("alarm began", "kiosk", a.Kiosk, "kind", a.Kind)
		case !a.Open():
			j.Log.Info("alarm ended", "kiosk", a.Kiosk, "kind", a.Kind)
			fallthrough
		default:
			current[i] = a
		}
	}
	return current, nil
}

// usually returns what is usual of a kiosk, which is asked for now and then.
func (j *Job) usually(ctx context.Context, k *Kiosk, over time.Duration, now time.Time, asked *int) (int64, bool) {
	if j.usual == nil {
		j.usual = map[int64]usual{}
	}
	u, ok := j.usual[k.No]
	if ok && now.Sub(u.at) < usualEvery {
		return u.scans, u.known
	}
	if *asked >= usualAtOnce {
		return 0, false
	}
	*asked++
	scans, known, err := j.Keeper.Usual(ctx, k.No, over, now)
	if err != nil {
		if ctx.Err() == nil {
			j.Log.Warn("usual scans not known", "kiosk", k.ID, "err", err)
		}
		return 0, false
	}
	j.usual[k.No] = usual{now, scans, known}
	return scans, known
}

func (j *Job) count(kiosks []*Kiosk, current []Alarm, now time.Time) {
	f := &Figures{States: map[State]int{}, Alarms: map[Kind]int{}}
	linked := j.Linked()
	for _, k := range kiosks {
		f.States[StateOf(k, now, linked)]++
	}
	for _, a := range current {
		if a.Open() && a.Acked.IsZero() {
			f.Alarms[a.Kind]++
			if a.Grave {
				f.Grave++
			}
		}
	}
	j.figures.Store(f)
}

// tell tells people what is due. A letter that cannot be sent is not tried again: the
// alarm stands in the portal.
func (j *Job) tell(ctx context.Context, kiosks []*Kiosk, current []Alarm, now time.Time) error {
	mutes, err := j.Keeper.Mutes(ctx, now)
	if err != nil {
		return err
	}
	if !Due(current, mutes, j.last, now) {
		return nil
	}
	subs, err := j.Keeper.Subscriptions(ctx)
	if err != nil {
		return err
	}
	byNo := make(map[int64]*Kiosk, len(kiosks))
	for _, k := range kiosks {
		byNo[k.No] = k
	}
	messages, told := Tell(current, mutes, subs, byNo, now)
	var posts []Post
	for _, m := range messages {
		if m.Subscription.Address != "" {
			posts = append(posts, Post{Subscription: m.Subscription.ID, Body: m.Body(), Made: now, Due: now})
		}
	}
	if err := j.Keeper.SaveTold(ctx, told, posts); err != nil {
		return err
	}
	j.last = now
	for _, m := range messages {
		if m.Subscription.Address != "" || m.Subscription.Email == "" || j.Letter == nil {
			continue
		}
		if err := j.Letter(m); err != nil {
			j.Log.Warn("alarms not mailed", "subscription", m.Subscription.ID, "err", err)
		}
	}
	return nil
}
