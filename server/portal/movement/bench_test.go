package movement_test

import (
	"fmt"
	"testing"

	"github.com/qrgate/qrgate/server/qrgate"
)

// BenchmarkPage asks for the overview as a browser does, over a socket and with a
// session, of days that were read before and of days that were not.
func BenchmarkPage(b *testing.B) {
	w := newWorld(b)
	for back := range qrgate.Day(92) {
		w.save(1, town(w.last-back, 1))
	}
	for _, days := range []qrgate.Day{1, 7, 28, 92} {
		path := fmt.Sprintf("/di-chuyen?tu=%s&den=%s", w.last-days+1, w.last)
		b.Run(fmt.Sprintf("days=%d", days), func(b *testing.B) {
			size := 0
			for b.Loop() {
				_, body, _ := w.Get("reporter", path)
				size = len(body)
			}
			b.ReportMetric(float64(size), "bytes")
		})
	}
	for _, kind := range []string{"csv", "xlsx"} {
		b.Run(kind+"/days=7", func(b *testing.B) {
			for b.Loop() {
				w.Get("reporter", "/di-chuyen."+kind)
			}
		})
	}
}
