package progress

import (
	"io"

	"github.com/qrgate/qrgate/server/portal/text"
	"github.com/qrgate/qrgate/server/report"
	rollout "github.com/qrgate/qrgate/server/store/progress"
)

// ReadList reads a sheet as an upload is read: the places of the rows that can be
// listed, and how many rows there are.
func ReadList(body []byte, sector string) (good []rollout.Listed, rows int, err error) {
	lines, err := lists.Read(body)
	for _, l := range lines {
		if c := readLine(l, sector); c.Place != nil {
			good = append(good, *c.Place)
		}
	}
	return good, len(lines), err
}

// Workbook writes a document as a workbook.
func Workbook(w io.Writer, d *report.Document) error {
	return workbook(w, words{text.Vietnamese}, d)
}
