package progress_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/qrgate/qrgate/server/area"
)

// settle makes a province of it: twenty thousand places in all communes, each in use
// for a month, with three to fifty check-ins a day: some eight million.
func (w *world) settle(b *testing.B) {
	const places, days = 20_000, 30
	var communes []string
	for _, u := range area.Current() {
		communes = append(communes, u.ID.String())
	}
	sectors, kinds := []string{"trade", "health", "education", "tourism"}, []string{"market", "shop", "clinic", "school", "lodging"}
	w.exec("INSERT INTO kiosks (no, id, place, public, state, added, kind, place_no) VALUES (1, 'kiosk-one', '', ?, 1, 1, 0, 0)", make([]byte, 32))
	for from := 100; from < 100+places; from += 1000 {
		var place, tally strings.Builder
		for no := from; no < from+1000; no++ {
			in := communes[no%len(communes)]
			fmt.Fprintf(&place, ", (%d, 'others', 'Place %d', 'place %d', '%s', '%s', '%s', '%s', '', '', '[]', '', 0, '[]', 1, 1, 1, 1, 1)", no, no, no, sectors[no%4], kinds[no%5], in, in)
			for d := range days {
				fmt.Fprintf(&tally, ", (%d, %d, 1, %d, 0, 1, 1)", no, int(w.today())-d, 3+(no*7+d*13)%48)
			}
		}
		w.exec("INSERT INTO places (no, organisation, name, folded, sector, kind, area, area_now, street, person, phones, email, capacity, hours, doors, version, poster, created, changed) VALUES " + place.String()[2:])
		w.exec("INSERT INTO tallies (place_no, day, kiosk_no, ins, outs, first, last) VALUES " + tally.String()[2:])
		w.exec(fmt.Sprintf("INSERT INTO posters (place, version, template, name, address, made_by, made, printed, formats) SELECT no, 1, 0, '', '', '', 1, 1, '' FROM places WHERE no >= %d", from))
	}
}

// BenchmarkReport makes the ready report of a province and the cockpit's page, from
// the request to the last byte.
func BenchmarkReport(b *testing.B) {
	for _, e := range engines {
		w := newWorldOn(b, e.dsn(b))
		w.settle(b)
		status, at := w.post("admin", "/bao-cao/moi", with(draft, "progress_sector", ""))
		if status != 303 {
			b.Fatalf("report = %d %s", status, at)
		}
		for name, path := range map[string]string{"pdf": at + "/bao-cao.pdf", "xlsx": at + "/bao-cao.xlsx", "cockpit": "/tien-do"} {
			b.Run(e.name+"/"+name, func(b *testing.B) {
				size := 0
				for b.Loop() {
					status, body := w.get("admin", path)
					if status != 200 {
						b.Fatalf("%s = %d", path, status)
					}
					size = len(body)
				}
				b.ReportMetric(float64(size), "B")
			})
		}
	}
}
