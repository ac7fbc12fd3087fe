package card_test

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/qrgate/qrgate/server/store/issuing"
	"github.com/qrgate/qrgate/sync/wire"
)

// BenchmarkSheetToPrint takes a sheet of ten thousand people in, as a clerk uploads it,
// and prints their cards: checked, registered, signed, and one PDF. It says how much
// memory was in use at most, of which the clerk's browser here holds the file.
func BenchmarkSheetToPrint(b *testing.B) {
	const people = 10_000
	for range b.N {
		b.StopTimer()
		w := newWorld(b)
		hoa := w.as("hoa")
		if err := w.quotas.Kept.Raise(b.Context(), w.ids["hoa"], wire.ForCard, issuing.Limits{Batch: people, Day: people}); err != nil {
			b.Fatal(err)
		}
		var file bytes.Buffer
		file.WriteString(sheetHead)
		for i := range people {
			fmt.Fprintf(&file, "Người Số %d,1950,,,,Phường Phú Xuân,046%09d,,\r\n", i, 100_000_000+i)
		}
		most := heap(b)
		b.StartTimer()

		began := time.Now()
		_, body := hoa.upload("/the/nhap", map[string][]string{"card.kind": {"card"}, "card.days": {"365"}, "card.consent": {"1"}}, "card.file", "x.csv", file.Bytes())
		status, body := hoa.post(reportPath.FindString(body), nil)
		w.want("taken in", status, body, 200, "Đợt 10.000 thẻ")
		taken := time.Now()
		pdf := hoa.pdf(batchPath.FindString(body), "duplex", "initials")

		b.ReportMetric(taken.Sub(began).Seconds(), "s-register")
		b.ReportMetric(time.Since(taken).Seconds(), "s-print")
		b.ReportMetric(float64(len(pdf))/1e6, "MB-file")
		b.ReportMetric(float64(most())/1e6, "MB-heap")
	}
}

// heap looks at the heap ten times a second, until it is asked how much was in use at most.
func heap(b *testing.B) (most func() uint64) {
	ctx, stop := context.WithCancel(b.Context())
	var peak uint64
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapInuse)
			select {
			case <-ctx.Done():
			case <-tick.C:
			}
		}
	}()
	return func() uint64 {
		stop()
		<-ended
		return peak
	}
}
