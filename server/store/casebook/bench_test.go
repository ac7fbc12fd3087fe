package casebook_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/casebook"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/server/trace"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
)

// crowd are contacts of two meetings each, no two alike.
func crowd(n int) *casebook.Result {
	r := &casebook.Result{Ring: 1}
	for i := range n {
		c := met(qrgate.Person(i+1)*0x9e3779b97f4a7c15, int64(i%200))
		c.Shared = append(c.Shared, c.Shared...)
		for j := range c.Shared {
			s := &c.Shared[j].Stay
			s.Entry = trace.ID{Epoch: wire.NewEpoch(), Seq: uint64(i), Digest: wire.Digest{byte(i), byte(i >> 8), byte(j)}}
			s.In = when.Interval{Earliest: int64(1e12 + i*1000), Latest: int64(1e12 + i*1000 + 5)}
			s.Gate, s.Kiosk = "gate", "cho-dong-ba-1"
		}
		r.Found.Contacts = append(r.Found.Contacts, c)
	}
	return r
}

// A run of 1,000 and 10,000 contacts is kept, compared with one like it.
func BenchmarkSaveRun(b *testing.B) {
	for _, e := range engines {
		for _, n := range []int{1_000, 10_000} {
			b.Run(fmt.Sprintf("%s/%d", e.name, n), func(b *testing.B) {
				w := newWorld(b, e.dsn(b))
				w.holder(an)
				c, r := w.approved(), crowd(n)
				bytes := 0
				for b.Loop() {
					_, err := w.SaveRun(context.Background(), "lan", c.ID, r)
					w.must(err)
				}
				for _, v := range w.sizes("SELECT LENGTH(sealed) FROM case_runs WHERE no = 1") {
					bytes += v
				}
				b.ReportMetric(float64(bytes)/float64(n), "bytes/contact")
			})
		}
	}
}

// A thorough look-up among 20,000 holders: it opens them all.
func BenchmarkThorough(b *testing.B) {
	const holders, some = 20_000, 1_000
	for _, e := range engines {
		b.Run(e.name, func(b *testing.B) {
			w := newWorld(b, e.dsn(b))
			for i := 0; i < holders; i += some {
				var all []*register.CardHolder
				for j := range some {
					all = append(all, &register.CardHolder{Office: phuXuan, Details: register.Details{
						Name: fmt.Sprintf("Nguyễn Văn %d", i+j), Born: 1950, Phone: fmt.Sprintf("+849%08d", i+j), Area: phuXuan.ID, Street: "12 Lê Lợi", Identity: fmt.Sprintf("046%09d", i+j),
					}})
				}
				w.must(w.cards.AddHolders(context.Background(), "clerk", all))
			}
			c := w.open("lan")
			for b.Loop() {
				w.exec("DELETE FROM audit")
				found, err := w.Find(context.Background(), "lan", c.ID, casebook.Lookup{Kind: pass.Phone, Number: "+84900000000", Thorough: true})
				if w.must(err); len(found) != 1 {
					b.Fatalf("found %d", len(found))
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/holders, "µs/holder")
		})
	}
}

// A watch of 100 cases of 30 places each, where nothing came.
func BenchmarkWatch(b *testing.B) {
	for _, e := range engines {
		b.Run(e.name, func(b *testing.B) {
			w := newWorld(b, e.dsn(b))
			w.holder(an)
			ctx, none := context.Background(), &rows{}
			for range 100 {
				w.exec("DELETE FROM audit")
				c, err := w.Open(ctx, "lan", casebook.Opening{State: casebook.Suspected, Profile: "measles", Purpose: why})
				w.must(err)
				r := casebook.Record(none, w.time)
				for place := range uint32(30) {
					w.must(r.CheckinsAt(ctx, qrgate.Spot{No: place + 1}, c.From.UnixMilli(), c.To.UnixMilli(), nil))
				}
				_, err = w.SaveRun(ctx, "lan", c.ID, &casebook.Result{Ring: 1, Read: r})
				w.must(err)
			}
			for b.Loop() {
				late, err := w.Watch(ctx, none, casebook.WatchOptions{})
				if w.must(err); late != nil {
					b.Fatal(late)
				}
			}
		})
	}
}
