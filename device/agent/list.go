package agent

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/qrgate/qrgate/device/durable"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/wire"
)

// A List is the cards that are void, as the server has last told, in one file of
// which it is the only writer. The door asks it at any time, and whoever counts the
// lease may drop it; all else is for one goroutine.
//
// A list of a later generation comes from a server that was restored and may have
// forgotten cards, so what was void before stays void until an operator has
// confirmed the list.
type List struct {
	// Damaged says why the file was dropped, and is nil as a rule. Until the server
	// has sent the list again, no card is void.
	Damaged error

	path string
	key  ed25519.PrivateKey
	held atomic.Pointer[heldList]

	mu    sync.Mutex // whoever stores held
	parts partList
	said  Checked // the newest list, as the server's last answer had it
}

// A heldList does not change.
type heldList struct {
	stamp   wire.Stamp
	cards   *pass.Revocations
	before  *pass.Revocations // of earlier generations
	checked time.Time         // the server's time when it last said that there is none newer; zero if it never did
}

// A partList is what has come of a whole list that is not complete.
type partList struct {
	head wire.ListHead
	data [][]byte // nil of those that are missing
	have int
}

// OpenList reads the list at path, which is signed with the kiosk's own key: what
// came was verified with a key of the server's that may not be listed any more.
// checked is what [State] remembers. A file that is missing or damaged, or that
// the disk cannot read, is an empty list; an error means that it may not be read.
func OpenList(path string, key ed25519.PrivateKey, checked Checked) (*List, error) {
	l := &List{path: path, key: key}
	h := &heldList{cards: new(pass.Revocations), before: new(pass.Revocations)}
	var err error
	l.Damaged, err = durable.Read(path, func(b []byte) error {
		read, err := readList(b, key.Public().(ed25519.PublicKey))
		if err == nil {
			h = read
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("agent: list: %w", err)
	}
	if checked.Stamp == h.stamp {
		h.checked = checked.At
	}
	l.held.Store(h)
	return l, nil
}

// Void reports whether an issue of a card is void. Every issue is if that of
// [pass.AllIssues] is.
func (l *List) Void(number uint32, issue uint8) bool {
	h := l.held.Load()
	return h.cards.Contains(number, issue) || h.before.Contains(number, issue)
}

// Checked returns the server's time when it last said that there is no newer list,
// and false if it never did.
func (l *List) Checked() (time.Time, bool) {
	h := l.held.Load()
	return h.checked, !h.checked.IsZero()
}

// Beat returns what a beat says of the list.
func (l *List) Beat() *wire.ListBeat {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.held.Load()
	b := &wire.ListBeat{Stamp: h.stamp, Cards: h.cards.Len()}
	if !h.checked.IsZero() {
		b.Checked = h.checked.UnixMilli()
	}
	if l.parts.have > 0 {
		b.Getting = l.parts.head.Stamp
		for i, d := range l.parts.data {
			if d != nil {
				b.Add(i)
			}
		}
	}
	return b
}

// newest notes that the server said at a time which list is the newest.
func (l *List) newest(c Checked) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.said = c
	if h := *l.held.Load(); h.stamp == c.Stamp && c.Stamp.Version > 0 {
		h.checked = c.At
		l.held.Store(&h)
	}
}

// state returns what [State] shall remember, and false if there is nothing.
func (l *List) state() (Checked, bool) {
	h := l.held.Load()
	return Checked{h.stamp, h.checked}, h.stamp.Version > 0 && !h.checked.IsZero()
}

// errUnlike is returned for a change that does not lead to the list which the
// server means.
var errUnlike = errors.New("another list than the server's")

// Take takes one part of a list or a change. It reports whether with that a newer
// list is in force, which then is on disk. A part of a list that is not newer, or a
// change of another list than the one that is held, is [ErrOld]. key returns the
// listed receipt key for an id, or nil.
func (l *List) Take(data []byte, key func(id uint32) ed25519.PublicKey) (bool, error) {
	p, err := wire.OpenListPart(data, key)
	if err != nil {
		return false, fmt.Errorf("agent: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.held.Load()
	stamp := p.Head.Stamp
	if !stamp.Newer(h.stamp) || p.Head.From > 0 && (stamp.Generation != h.stamp.Generation || p.Head.From != h.stamp.Version) {
		return false, fmt.Errorf("agent: list %d.%d: %w", stamp.Generation, stamp.Version, ErrOld)
	}
	encoded := p.Data
	if p.Head.From == 0 {
		if encoded, err = l.parts.add(p); encoded == nil {
			return false, err
		}
		l.parts = partList{} // if they are no list, they shall all come again
	}
	next, err := h.next(p.Head, encoded)
	if err == nil && l.said.Stamp == stamp {
		next.checked = l.said.At // the answer was faster than the list
	}
	if err != nil {
		if p.Head.From > 0 {
			// One of the two is wrong; the whole list settles it.
			again := *h
			again.stamp.Version = 0
			l.held.Store(&again)
		}
		return false, fmt.Errorf("agent: list %d.%d: %w", stamp.Generation, stamp.Version, err)
	}
	if err := durable.Replace(l.path, next.write(l.key)); err != nil {
		return false, fmt.Errorf("agent: list: %w", err)
	}
	l.held.Store(next)
	if !l.parts.head.Stamp.Newer(next.stamp) {
		l.parts = partList{}
	}
	return true, nil
}

// Drop forgets the list, on disk too. Until the server has sent it again no card is
// void, and nobody can tell how old it is.
func (l *List) Drop() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.parts = partList{}
	l.held.Store(&heldList{
		stamp: wire.Stamp{Generation: l.held.Load().stamp.Generation}, cards: new(pass.Revocations), before: new(pass.Revocations),
	})
	err := os.Remove(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = durable.SyncDir(filepath.Dir(l.path))
	}
	if err != nil {
		return fmt.Errorf("agent: list: drop: %w", err)
	}
	return nil
}

// add adds a part, and returns the encoded list if it was the last that was
// missing.
func (g *partList) add(p *wire.ListPart) ([]byte, error) {
	if g.head.Stamp.Newer(p.Head.Stamp) {
		return nil, fmt.Errorf("agent: part of list %d.%d: %w", p.Head.Stamp.Generation, p.Head.Stamp.Version, ErrOld)
	}
	if g.head != p.Head {
		*g = partList{head: p.Head, data: make([][]byte, p.Head.Parts)}
	}
	if g.data[p.Part] == nil {
		g.data[p.Part] = p.Data
		g.have++
	}
	if g.have < len(g.data) {
		return nil, nil
	}
	return bytes.Join(g.data, nil), nil
}

// next returns the list that a whole one or a change leads to.
func (h *heldList) next(head wire.ListHead, encoded []byte) (*heldList, error) {
	cards, err := pass.DecodeRevocations(encoded)
	if err != nil {
		return nil, err
	}
	next := &heldList{stamp: head.Stamp, cards: cards, before: h.before, checked: h.checked}
	if head.From > 0 {
		if next.cards, err = h.cards.With(cards); err != nil {
			return nil, err
		}
	}
	if next.cards.Digest() != head.Digest {
		return nil, errUnlike
	}
	if head.Alone {
		next.before = new(pass.Revocations)
	} else if head.Stamp.Generation != h.stamp.Generation {
		if next.before, err = h.before.With(h.cards); err != nil {
			return nil, err
		}
	}
	return next, nil
}

// A list on disk is a magic, generation and version, the length of the list, the
// list, those of earlier generations, and the kiosk's signature.
const (
	listMagic = "QGLIST1\n"
	listHead  = len(listMagic) + 8 + 8 + 4
)

// errList is why a file is no list.
var errList = errors.New("not a list that this kiosk has written")

func (h *heldList) write(key ed25519.PrivateKey) []byte {
	cards := h.cards.Encode()
	b := []byte(listMagic)
	b = binary.BigEndian.AppendUint64(b, h.stamp.Generation)
	b = binary.BigEndian.AppendUint64(b, h.stamp.Version)
	b = binary.BigEndian.AppendUint32(b, uint32(len(cards)))
	b = append(append(b, cards...), h.before.Encode()...)
	return append(b, ed25519.Sign(key, listSigned(b))...)
}

// listSigned returns what is signed of a file.
func listSigned(b []byte) []byte {
	sum := sha256.Sum256(b)
	return append([]byte("qrgate kept list v1\x00"), sum[:]...)
}

func readList(b []byte, key ed25519.PublicKey) (*heldList, error) {
	if len(b) < listHead+ed25519.SignatureSize || !bytes.HasPrefix(b, []byte(listMagic)) {
		return nil, errList
	}
	b, sig := b[:len(b)-ed25519.SignatureSize], b[len(b)-ed25519.SignatureSize:]
	if !ed25519.Verify(key, listSigned(b), sig) {
		return nil, errList
	}
	in := b[len(listMagic):]
	h := &heldList{stamp: wire.Stamp{Generation: binary.BigEndian.Uint64(in), Version: binary.BigEndian.Uint64(in[8:])}}
	n := int(binary.BigEndian.Uint32(in[16:]))
	if in = in[20:]; n > len(in) {
		return nil, errList
	}
	var err error
	if h.cards, err = pass.DecodeRevocations(in[:n]); err != nil {
		return nil, err
	}
	h.before, err = pass.DecodeRevocations(in[n:])
	return h, err
}
