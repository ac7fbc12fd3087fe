package twin

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"sync"
)

// sector is what a disk writes whole.
const sector = 512

// A Disk is a disk that outlives a machine, served over the NBD protocol. What a
// machine writes is on it for certain once it has flushed, as with any disk.
type Disk struct {
	mu     sync.Mutex
	lies   bool
	media  []byte           // what a cut leaves
	loose  map[int64][]byte // sectors since the last flush
	writes uint64
	flush  uint64
	kept   *History
	listen net.Listener
	conns  map[net.Conn]bool
}

// NewDisk returns a disk with this content, served at path, a new socket.
func NewDisk(content []byte, path string) (*Disk, error) {
	if len(content)%sector != 0 {
		return nil, fmt.Errorf("twin: disk of %d bytes", len(content))
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("twin: disk: %w", err)
	}
	d := &Disk{media: content, loose: map[int64][]byte{}, listen: l, conns: map[net.Conn]bool{}}
	go d.accept()
	return d, nil
}

// Close ends the serving.
func (d *Disk) Close() error {
	err := d.listen.Close()
	d.mu.Lock()
	defer d.mu.Unlock()
	for c := range d.conns {
		c.Close()
	}
	return err
}

// Lie makes the disk answer flushes from now on without keeping anything, as a cheap
// card does, or makes it honest again.
func (d *Disk) Lie(lie bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lies = lie
}

// Lose does what a power cut does: each sector that was not flushed is kept, torn in
// its middle, or lost, as r has it; without r all are lost. It returns how many there
// were. The machine must be dead.
func (d *Disk) Lose(r *rand.Rand) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := len(d.loose)
	d.kept.add(step{lost: true})
	if r != nil {
		for at, b := range survivors(d.loose, r) {
			copy(d.media[at:], b)
			d.kept.add(step{at: at, b: b})
		}
	}
	clear(d.loose)
	d.kept.add(step{})
	return n
}

// survivors draws what a cut leaves of each sector that was not flushed: all of it, its
// first half, or nothing. They are the same again for the same seed.
func survivors(loose map[int64][]byte, r *rand.Rand) iter.Seq2[int64, []byte] {
	return func(yield func(int64, []byte) bool) {
		for _, at := range slices.Sorted(maps.Keys(loose)) {
			b := loose[at]
			if n := min(len(b), [...]int{sector, sector / 2, 0}[r.IntN(3)]); n > 0 && !yield(at, b[:n]) {
				return
			}
		}
	}
}

// ReadAt reads what a machine would read.
func (d *Disk) ReadAt(p []byte, at int64) (int, error) {
	from := at / sector * sector
	to := (at + int64(len(p)) + sector - 1) / sector * sector
	if to > int64(len(d.media)) {
		return 0, io.ErrUnexpectedEOF
	}
	return copy(p, d.read(from, int(to-from))[at-from:]), nil
}

// Address is where the disk is served.
func (d *Disk) Address() string { return d.listen.Addr().String() }

// Stats returns how many sectors were written, and how often the machine flushed.
func (d *Disk) Stats() (writes, flushes uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.writes, d.flush
}

func (d *Disk) accept() {
	for {
		c, err := d.listen.Accept()
		if err != nil {
			return
		}
		d.mu.Lock()
		d.conns[c] = true
		d.mu.Unlock()
		go func() {
			defer c.Close()
			if err := d.serve(c); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) && !errors.Is(err, io.ErrUnexpectedEOF) {
				fmt.Fprintln(os.Stderr, "twin: disk:", err)
			}
			d.mu.Lock()
			delete(d.conns, c)
			d.mu.Unlock()
		}()
	}
}

// Numbers of the NBD protocol, from its proto.md.
const (
	nbdMagic     = 0x4e42444d41474943
	nbdOption    = 0x49484156454f5054
	nbdAnswer    = 0x3e889045565a9
	nbdRequest   = 0x25609513
	nbdReply     = 0x67446698
	optExport    = 1
	optAbort     = 2
	optInfo      = 6
	optGo        = 7
	repAck       = 1
	repInfo      = 3
	repUnknown   = 1<<31 + 1
	infoExport   = 0
	flagsFixed   = 1        // fixed newstyle
	transmission = 1 | 1<<2 // flags, flush
	cmdRead      = 0
	cmdWrite     = 1
	cmdEnd       = 2
	cmdFlush     = 3
	errInvalid   = 22
	mostBytes    = 32 << 20
)

func (d *Disk) serve(c net.Conn) error {
	hello := binary.BigEndian.AppendUint64(nil, nbdMagic)
	hello = binary.BigEndian.AppendUint64(hello, nbdOption)
	hello = binary.BigEndian.AppendUint16(hello, flagsFixed)
	if _, err := c.Write(hello); err != nil {
		return err
	}
	var flags uint32
	if err := binary.Read(c, binary.BigEndian, &flags); err != nil {
		return err
	}
	for {
		var head struct {
			Magic  uint64
			Option uint32
			Length uint32
		}
		if err := binary.Read(c, binary.BigEndian, &head); err != nil {
			return err
		}
		if head.Magic != nbdOption || head.Length > 4096 {
			return errors.New("bad option")
		}
		data := make([]byte, head.Length)
		if _, err := io.ReadFull(c, data); err != nil {
			return err
		}
		answer := func(kind uint32, data []byte) error {
			b := binary.BigEndian.AppendUint64(nil, nbdAnswer)
			b = binary.BigEndian.AppendUint32(b, head.Option)
			b = binary.BigEndian.AppendUint32(b, kind)
			b = binary.BigEndian.AppendUint32(b, uint32(len(data)))
			_, err := c.Write(append(b, data...))
			return err
		}
		export := binary.BigEndian.AppendUint64(nil, uint64(len(d.media)))
		export = binary.BigEndian.AppendUint16(export, transmission)
		var err error
		switch head.Option {
		case optExport:
			b := export
			if flags&2 == 0 { // the other side wants the zeroes of old
				b = append(b, make([]byte, 124)...)
			}
			if _, err := c.Write(b); err != nil {
				return err
			}
			return d.transmit(c)
		case optInfo, optGo:
			if err = answer(repInfo, append(binary.BigEndian.AppendUint16(nil, infoExport), export...)); err == nil {
				err = answer(repAck, nil)
			}
			if err == nil && head.Option == optGo {
				return d.transmit(c)
			}
		case optAbort:
			return answer(repAck, nil)
		default:
			err = answer(repUnknown, nil)
		}
		if err != nil {
			return err
		}
	}
}

func (d *Disk) transmit(c net.Conn) error {
	for {
		var r struct {
			Magic  uint32
			Flags  uint16
			Kind   uint16
			Handle uint64
			From   uint64
			Length uint32
		}
		if err := binary.Read(c, binary.BigEndian, &r); err != nil {
			return err
		}
		if r.Magic != nbdRequest || r.Length > mostBytes {
			return errors.New("bad request")
		}
		var data []byte
		if r.Kind == cmdWrite {
			data = make([]byte, r.Length)
			if _, err := io.ReadFull(c, data); err != nil {
				return err
			}
		}
		var fault uint32
		inside := r.From+uint64(r.Length) <= uint64(len(d.media)) && r.From%sector == 0 && r.Length%sector == 0
		var out []byte
		switch {
		case r.Kind == cmdEnd:
			return nil
		case r.Kind == cmdRead && inside:
			out = d.read(int64(r.From), int(r.Length))
		case r.Kind == cmdWrite && inside:
			d.write(int64(r.From), data)
		case r.Kind == cmdFlush:
			d.sync()
		default:
			fault = errInvalid
		}
		b := binary.BigEndian.AppendUint32(nil, nbdReply)
		b = binary.BigEndian.AppendUint32(b, fault)
		b = binary.BigEndian.AppendUint64(b, r.Handle)
		if _, err := c.Write(append(b, out...)); err != nil {
			return err
		}
	}
}

func (d *Disk) read(from int64, n int) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	b := append([]byte(nil), d.media[from:from+int64(n)]...)
	for at := int64(0); at < int64(n); at += sector {
		if s, ok := d.loose[from+at]; ok {
			copy(b[at:], s)
		}
	}
	return b
}

func (d *Disk) write(from int64, b []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for at := 0; at < len(b); at += sector {
		d.loose[from+int64(at)] = b[at : at+sector]
		d.writes++
	}
	d.kept.add(step{at: from, b: b})
}

// sync keeps what was written.
func (d *Disk) sync() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.flush++
	if !d.lies {
		d.keepLocked()
	}
}

// keep keeps what was written, also if the disk lies.
func (d *Disk) keep() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.keepLocked()
}

func (d *Disk) keepLocked() {
	for at, b := range d.loose {
		copy(d.media[at:], b)
	}
	clear(d.loose)
	d.kept.add(step{})
}
