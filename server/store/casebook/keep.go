package casebook

import (
	"cmp"
	"slices"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/trace"
)

// A keeping adds to a result what an earlier run found on days whose keys were
// destroyed since. The case may use that until its own end: without it whoever was met
// on those days would look as if they had never been met.
type keeping struct {
	f       *file
	before  *Result
	r       *Result
	rules   trace.Rules
	oldest  qrgate.Day // that still has a key
	least   int64      // that a contact must have been near, in milliseconds
	stays   []int      // for each stay of before its number in r, -1 of one that no longer counts
	carried []bool     // it was not in r
}

// keep adds to r what before found on days older than oldest, as far as the case still
// asks for it. Where r knows a stay itself, that is believed.
func (f *file) keep(before, r *Result, oldest qrgate.Day) {
	profile, _ := trace.FindProfile(f.Profile)
	k := keeping{f: f, before: before, r: r, rules: f.rules(), oldest: oldest, least: profile.Minimum, stays: make([]int, len(before.Stays)), carried: make([]bool, len(before.Stays))}
	unnamed := len(r.Found.Unnamed) == len(r.Stays) && len(before.Found.Unnamed) == len(before.Stays)
	known := map[trace.ID]int{}
	for i := range r.Stays {
		known[r.Stays[i].Entry], known[r.Stays[i].Exit] = i, i
	}
	delete(known, trace.ID{})
	r.Stays, r.Found.Unnamed = slices.Clip(r.Stays), slices.Clip(r.Found.Unnamed)
	for i := range before.Stays {
		s := &before.Stays[i]
		k.stays[i] = -1
		for _, id := range []trace.ID{s.Entry, s.Exit} {
			if n, ok := known[id]; ok {
				k.stays[i] = n
			}
		}
		if k.stays[i] >= 0 || !k.lost(s) || !k.asked(s) {
			continue
		}
		k.stays[i], k.carried[i] = len(r.Stays), true
		r.Stays = append(r.Stays, *s)
		if unnamed {
			r.Found.Unnamed = append(r.Found.Unnamed, before.Found.Unnamed[i])
		}
	}
	r.Found.Parties = slices.Clip(r.Found.Parties)
	for _, p := range before.Found.Parties {
		if p.Of < len(k.stays) && k.carried[p.Of] {
			p.Of = k.stays[p.Of]
			r.Found.Parties = append(r.Found.Parties, p)
		}
	}
	k.contacts()
}

// lost reports whether a check-in of a stay can no longer be opened.
func (k *keeping) lost(s *trace.Stay) bool {
	return s.Entry != (trace.ID{}) && qrgate.DayOfMilli(s.In.Latest) < k.oldest || s.Exit != (trace.ID{}) && qrgate.DayOfMilli(s.Out.Latest) < k.oldest
}

// asked reports whether the case still asks for a stay.
func (k *keeping) asked(s *trace.Stay) bool {
	from, to := k.f.Case.From, k.f.Case.To
	if qrgate.DayOfMilli(s.Out.Latest) < qrgate.DayOf(from) || qrgate.DayOfMilli(s.In.Earliest) > qrgate.DayOf(to) || !k.rules.Believes(s) {
		return false
	}
	task := Task{Chosen: k.f.body.Chosen, Left: k.f.body.Left}
	return k.r.Ring == 2 || k.r.Place || task.Counts(s)
}

// contacts adds those times together that r cannot know any more.
func (k *keeping) contacts() {
	at := map[qrgate.Person]int{}
	all := slices.Clone(k.r.Found.Contacts)
	for i := range all {
		at[all[i].Person] = i
	}
	for _, c := range k.before.Found.Contacts {
		i, met := at[c.Person]
		var now []trace.Shared
		if met {
			now = all[i].Shared
		}
		lost := k.lostTimes(&c, now)
		switch {
		case len(lost) == 0:
			continue
		case len(lost) < len(c.Shared):
			c.Least, c.Most, c.Sureness = 0, 0, trace.Possible
			for _, sh := range lost {
				c.Least, c.Most, c.Sureness = k.add(c.Least, sh.Least), c.Most+sh.Most, max(c.Sureness, sh.Sureness)
			}
		}
		switch c.Shared = lost; {
		case met:
			least := k.add(all[i].Least, c.Least)
			all[i] = sum(all[i], c)
			if all[i].Least = least; k.least > 0 && least >= k.least {
				all[i].Sureness = trace.Certain
			}
		case c.Most >= k.least:
			at[c.Person] = len(all)
			all = append(all, c)
		}
	}
	slices.SortStableFunc(all, func(a, b trace.Contact) int {
		return cmp.Or(cmp.Compare(b.Sureness, a.Sureness), cmp.Compare(b.Least, a.Least), cmp.Compare(b.Most, a.Most))
	})
	k.r.Found.Contacts = all
}

// add returns how long somebody was near at least, as package trace counts it: what is
// shared with two traced persons, or lingers after two stays, is one time.
func (k *keeping) add(a, b int64) int64 {
	if k.r.Linger > 0 || slices.ContainsFunc(k.r.Stays, func(s trace.Stay) bool { return s.Person != k.r.Stays[0].Person }) {
		return max(a, b)
	}
	return a + b
}

// lostTimes returns the times of a contact of before that are not among those of now,
// for want of a key.
func (k *keeping) lostTimes(c *trace.Contact, now []trace.Shared) (lost []trace.Shared) {
	for _, sh := range c.Shared {
		if sh.Of >= len(k.stays) || k.stays[sh.Of] < 0 || !k.carried[sh.Of] && !k.lost(&sh.Stay) || !k.rules.Believes(&sh.Stay) {
			continue
		}
		if sh.Of = k.stays[sh.Of]; slices.ContainsFunc(now, func(n trace.Shared) bool { return n.Of == sh.Of && sameStay(&n.Stay, &sh.Stay) }) {
			continue
		}
		lost = append(lost, sh)
	}
	return lost
}

// sameStay reports whether two stays have a check-in in common.
func sameStay(a, b *trace.Stay) bool {
	return a.Entry != (trace.ID{}) && a.Entry == b.Entry || a.Exit != (trace.ID{}) && a.Exit == b.Exit
}
