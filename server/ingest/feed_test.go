package ingest_test

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/ingest"
	"github.com/qrgate/qrgate/server/store"
)

// sightings returns check-ins numbered from..to, oldest first.
func sightings(from, to int64) []store.Sighting {
	var all []store.Sighting
	for n := from; n <= to; n++ {
		all = append(all, store.Sighting{Kiosk: "gate-0001", Received: n})
	}
	return all
}

func numbers(all []store.Sighting) []int64 {
	var ns []int64
	for _, s := range all {
		ns = append(ns, s.Received)
	}
	return ns
}

// down returns from, from-1, ... to.
func down(from, to int64) []int64 {
	var ns []int64
	for ; from >= to; from-- {
		ns = append(ns, from)
	}
	return ns
}

func TestFeedRecent(t *testing.T) {
	newestFirst := func(from, to int64) []store.Sighting {
		all := sightings(from, to)
		slices.Reverse(all)
		return all
	}
	tests := []struct {
		name   string
		recent []store.Sighting
		stored [][]store.Sighting
		want   []int64
	}{
		{"nothing", nil, nil, nil},
		{"from the store", newestFirst(1, 3), nil, down(3, 1)},
		{"more from the store than are kept", newestFirst(1, 80), nil, down(80, 31)},
		{"newer ones come first", newestFirst(1, 3), [][]store.Sighting{sightings(4, 5), sightings(6, 6)}, down(6, 1)},
		{"the oldest leave", newestFirst(1, 50), [][]store.Sighting{sightings(51, 60)}, down(60, 11)},
		{"a transaction of thousands", nil, [][]store.Sighting{sightings(1, 16384)}, down(16384, 16335)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := ingest.NewFeed(tt.recent)
			for _, s := range tt.stored {
				f.Stored(map[string]int{"gate-0001": len(s)}, s)
			}
			if d := cmp.Diff(tt.want, numbers(f.Recent())); d != "" {
				t.Errorf("Recent() differs (-want +got):\n%s", d)
			}
		})
	}
}

func TestFeedMergesForASlowWatcher(t *testing.T) {
	f := ingest.NewFeed(nil)
	f.Stored(map[string]int{"gate-0001": 7}, sightings(1, 7))
	next, stop := iter.Pull(f.Watch(t.Context()))
	defer stop()

	f.Stored(map[string]int{"gate-0001": 2}, sightings(8, 9))
	if n, _ := next(); !cmp.Equal(n, ingest.News{Counts: map[string]int{"gate-0001": 2}, Checkins: f.Recent()[:2]}) {
		t.Fatalf("first news = %+v, want what was stored after Watch", n)
	}

	f.Stored(map[string]int{"gate-0001": 60, "gate-0002": 1}, sightings(10, 69))
	f.KiosksChanged()
	f.Stored(map[string]int{"gate-0001": 40, "gate-0003": 3}, sightings(70, 109))
	f.KiosksChanged()
	n, _ := next()
	want := map[string]int{"gate-0001": 100, "gate-0002": 1, "gate-0003": 3}
	if d := cmp.Diff(want, n.Counts); d != "" {
		t.Errorf("merged counts differ (-want +got):\n%s", d)
	}
	if d := cmp.Diff(down(109, 60), numbers(n.Checkins)); d != "" {
		t.Errorf("merged check-ins differ (-want +got):\n%s", d)
	}
	if !n.Kiosks {
		t.Error("merged news do not tell of the changed kiosks")
	}

	f.KiosksChanged()
	if n, _ := next(); !cmp.Equal(n, ingest.News{Kiosks: true}) {
		t.Errorf("news after a beat = %+v, want Kiosks alone", n)
	}
}

func TestFeedWatchEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := ingest.NewFeed(nil)
		ctx, cancel := context.WithCancel(t.Context())
		ended := false
		go func() {
			for n := range f.Watch(ctx) {
				t.Errorf("news %+v, want none", n)
			}
			ended = true
		}()
		synctest.Wait()
		if ended {
			t.Fatal("Watch ended before its context did")
		}
		cancel()
		synctest.Wait()
		if !ended {
			t.Fatal("Watch goes on after its context ended")
		}
	})
}

// Whoever joins while check-ins are stored sees each count exactly once, and no
// check-in both in what was and in what comes.
func TestFeedJoinIsExactWhileStoring(t *testing.T) {
	const stores, each, watchers = 400, 3, 16
	f := ingest.NewFeed(nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()

	var wg sync.WaitGroup
	watch := func() {
		recent, news := f.Join(ctx)
		last := int64(0)
		if len(recent) > 0 {
			last = recent[0].Received
		}
		if last == stores*each {
			return // joined after the end
		}
		counted := last // check-in number n is the n-th
		for n := range news {
			counted += int64(n.Counts["gate-0001"])
			for _, s := range slices.Backward(n.Checkins) {
				if s.Received <= last {
					t.Errorf("check-in %d comes after %d", s.Received, last)
				}
				last = s.Received
			}
			if counted != last {
				t.Errorf("counted %d check-ins, the newest is the %d-th", counted, last)
			}
			if last == stores*each {
				return
			}
		}
	}
	for i := range int64(stores) {
		if i%(stores/watchers) == 0 {
			wg.Go(watch)
		}
		f.Stored(map[string]int{"gate-0001": each}, sightings(i*each+1, (i+1)*each))
		f.KiosksChanged()
	}
	wg.Wait()
}

// BenchmarkFeedStored is what a transaction of 4,096 rows from 64 kiosks costs
// ingest, with pages that take news as they come and with pages that never do.
func BenchmarkFeedStored(b *testing.B) {
	counts := map[string]int{}
	for i := range 64 {
		counts[fmt.Sprintf("gate-%04d", i)] = 64
	}
	rows := sightings(1, 50)
	for _, w := range []struct {
		name       string
		busy, idle int
	}{{"nobody", 0, 0}, {"1000 stuck", 0, 1000}, {"1000 taking", 1000, 0}} {
		b.Run(w.name, func(b *testing.B) {
			f := ingest.NewFeed(nil)
			ctx, cancel := context.WithCancel(b.Context())
			var wg sync.WaitGroup
			defer wg.Wait()
			defer cancel()
			for range w.busy {
				news := f.Watch(ctx)
				wg.Go(func() {
					for range news {
					}
				})
			}
			for range w.idle {
				news := f.Watch(ctx)
				wg.Go(func() {
					for range news {
						<-ctx.Done()
					}
				})
			}
			b.ReportAllocs()
			for b.Loop() {
				f.Stored(counts, rows)
			}
		})
	}
}
