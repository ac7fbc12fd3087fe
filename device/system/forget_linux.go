package system

import "golang.org/x/sys/unix"

// forget drops what the memory holds of the card, so that what is read next comes from
// the card.
func (c *Card) forget(at, n int64) {
	unix.Fadvise(int(c.f.Fd()), at, n, unix.FADV_DONTNEED) // if it does not help the memory is compared
}
