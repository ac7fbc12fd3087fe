package trace

// A Crowd is how many people were at a place at one moment.
type Crowd struct {
	At          int64 // Unix milliseconds
	Least, Most int
}

// Crowding returns how many of these stays there were at once, from one moment to
// another in steps. Whoever checks in twice without leaving may count twice
// among Most.
func Crowding(stays []Stay, from, to, step int64) []Crowd {
	if step <= 0 || to < from {
		return nil
	}
	all := make([]Crowd, (to-from)/step+1)
	for i := range all {
		all[i].At = from + int64(i)*step
	}
	// first is the first moment not before t.
	first := func(t int64) int { return int(min(max(0, t-from+step-1)/step, int64(len(all)))) }
	least, most := make([]int, len(all)+1), make([]int, len(all)+1)
	count := func(in []int, from, to int64) {
		if a, b := first(from), first(to+1); a < b {
			in[a]++
			in[b]--
		}
	}
	for i := range stays {
		s := &stays[i]
		count(least, s.In.Latest, s.Out.Earliest)
		count(most, s.In.Earliest, s.Out.Latest)
	}
	var l, m int
	for i := range all {
		l, m = l+least[i], m+most[i]
		all[i].Least, all[i].Most = l, m
	}
	return all
}
