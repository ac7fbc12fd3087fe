package place

import (
	"github.com/qrgate/qrgate/server/portal/sheet"
	"github.com/qrgate/qrgate/server/qrgate"
)

// ReadHours and WriteHours are the two directions of a cell with opening hours.
func ReadHours(s string) ([]qrgate.Hours, error) { return readHours(s) }

// WriteHours is the other direction.
func WriteHours(all []qrgate.Hours) string { return writeHours("vi", all) }

// ReadSheet returns how many rows an uploaded sheet has, and the longest cell.
func ReadSheet(body []byte) (rows, longest int, err error) {
	lines, err := places.Read(body)
	for _, l := range lines {
		for _, cell := range l.Cells {
			longest = max(longest, len([]rune(cell)))
		}
	}
	return len(lines), longest, err
}

// Limits of sheets.
const (
	MaxRows = maxRows
	MaxCell = sheet.MaxCell
)
