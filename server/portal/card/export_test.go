package card

import (
	"time"

	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/sync/pass"
)

// ReadSheet returns what the rows of a sheet of families say, nil for one that is
// wrong.
func ReadSheet(body []byte, now time.Time) (all []*register.Details, err error) {
	lines, err := people.Read(body)
	for _, l := range lines {
		all = append(all, readLine(l, pass.Family, now).Holder)
	}
	return all, err
}
