package twin

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// TestHistoryIsDoneAgain has a machine write, flush and lose. What is flushed is there
// after every later cut, what is lost after none, and of the rest each sector is old,
// new, or new in its first half.
func TestHistoryIsDoneAgain(t *testing.T) {
	dir := t.TempDir()
	d, err := NewDisk(make([]byte, 4*sector), filepath.Join(dir, "nbd"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	of := func(b byte) []byte { return bytes.Repeat([]byte{b}, sector) }
	d.write(0, of(1))
	h, err := d.Record(filepath.Join(dir, "disk"))
	if err != nil {
		t.Fatal(err)
	}
	d.write(sector, of(2))
	d.sync()
	d.write(0, of(3))
	d.Lose(nil)
	d.write(2*sector, of(4))
	if h.Steps() != 7 { // a loss is two
		t.Fatalf("%d steps, want 7", h.Steps())
	}
	var seen int
	err = h.Cuts(rand.New(rand.NewPCG(1, 1)), 70, func(unflushed int) error {
		b, err := os.ReadFile(filepath.Join(dir, "disk"))
		if err != nil {
			return err
		}
		torn := append(of(4)[:sector/2], make([]byte, sector/2)...)
		if last := b[2*sector : 3*sector]; !bytes.Equal(last, of(4)) && !bytes.Equal(last, torn) && !bytes.Equal(last, of(0)) {
			t.Errorf("cut %d leaves of the last write % x", seen, last[:4])
		}
		if seen >= 60 && (!bytes.Equal(b[:sector], of(1)) || !bytes.Equal(b[sector:2*sector], of(2))) {
			t.Errorf("cut %d leaves %d and %d in the first sectors, want 1 and 2", seen, b[0], b[sector])
		}
		if seen++; seen == 70 && unflushed != 1 {
			t.Errorf("at the end %d sectors are unflushed, want 1", unflushed)
		}
		return nil
	})
	if err != nil || seen != 70 {
		t.Fatalf("%d cuts, %v", seen, err)
	}
	// The file is as it was before the last, unfinished write.
	b, err := os.ReadFile(filepath.Join(dir, "disk"))
	if want := append(append(of(1), of(2)...), make([]byte, 2*sector)...); err != nil || !bytes.Equal(b, want) {
		t.Errorf("what is flushed is not what the file holds: %v", err)
	}
}
