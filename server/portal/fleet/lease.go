package fleet

import (
	"time"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/portal/text"
	"github.com/qrgate/qrgate/sync/wire"
)

// leaseText says in words how long a kiosk may go without a word from the server.
func leaseText(lang text.Lang, l *wire.LeaseBeat) (value, class string) {
	const day = 24 * 60 * 60
	term := min(max(l.Term, 0), wire.MaxLeaseDays*day)
	left := max(term-max(l.Used, 0), 0)
	switch said := []any{"left", duration(lang, time.Duration(left)*time.Second), "days", page.Number(term / day), "n", page.Number(l.Ends)}; {
	case l.Ended:
		return text.Of(lang, "fleet.lease.ended"), "warn"
	case l.Ends > 0:
		return text.Of(lang, "fleet.lease.ends", said...), ""
	default:
		return text.Of(lang, "fleet.lease", said[:4]...), ""
	}
}
