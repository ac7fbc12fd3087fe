package qrread

import (
	"image"
	"slices"
	"time"
)

// Defaults for the zero Options.
const (
	DefaultDeadline  = 60 * time.Millisecond // for 640x480, in proportion for other sizes
	DefaultMaxPixels = 4 << 20
)

// Options tune a Reader. The zero value is right for a kiosk.
type Options struct {
	// Deadline bounds the time spent on one frame. It is looked at between
	// searches and attempts. Zero means DefaultDeadline scaled by the pixels of the frame.
	Deadline time.Duration
	// MaxPixels is the size above which a frame is refused unread. Zero means
	// DefaultMaxPixels.
	MaxPixels int
	// Video says that frames follow each other as a camera takes them. The costly
	// searches then take turns while a frame shows no sign of a code, so that an
	// empty scene costs little; a card that only they can find is read a frame or
	// two later.
	Video bool
}

// A Code is one symbol found in a frame.
type Code struct {
	// Text is what the symbol says. Bytes without a declared character set are
	// taken as UTF-8 when they are valid UTF-8, else by guess; a declared one (ECI) wins.
	Text string
	// Raw holds the bytes of all byte segments as they stand in the symbol,
	// nil when it has none (digits and upper case are stored otherwise).
	Raw []byte
	// Part and Parts are set for one of several symbols that make up one text
	// (structured append): Part counts from 1. Both are 0 for a whole text.
	Part, Parts int
	// Corners are the outer corners of the symbol in pixels of the frame, in the
	// symbol's own order: top left, top right, bottom right, bottom left.
	Corners [4]Point
}

// A Point is a place in a frame, in pixels; the centre of the first pixel is (0.5, 0.5).
type Point struct{ X, Y float64 }

// Stats count what a Reader has done since New.
type Stats struct {
	Frames   uint64 // frames given to Read
	Refused  uint64 // frames refused for their size
	Attempts uint64 // sampled grids handed to error correction
	Late     uint64 // frames given up at the deadline
	Panics   uint64 // panics of the decoding library, survived
}

// A Reader reads codes from frames. It reuses its buffers, so it serves one
// goroutine at a time.
type Reader struct {
	opt   Options
	stats Stats
	field *field

	end     time.Time // of the frame at hand
	round   int
	edges   edgeFinder // of a line of the picture
	rays    edgeFinder // of a line through a finder
	line    []uint8
	layouts [maxVersion + 1]*layout
	frame   plane
	copied  plane
	finders []finder
	triples []triple
	worst   float32 // cost above which a triple is not worth noting
	guesses []guess
	grid    grid
	hint    Hint
	mute    []Code       // sound symbols in the frame at hand that hold no text
	told    *Explanation // of the frame at hand, nil when nobody asks
	rest    int          // frames of a video for which signs of a code do not count

	words, block, spare []uint8
	data                []uint8
	sizes               []int
	trust, blockTrust   []float32
	order               []int
}

// New returns a Reader.
func New(opt Options) *Reader {
	if opt.MaxPixels == 0 {
		opt.MaxPixels = DefaultMaxPixels
	}
	return &Reader{opt: opt, field: newField()}
}

// Stats returns the counts so far.
func (r *Reader) Stats() Stats { return r.stats }

// Read returns the codes in img, nil when there are none or the frame is too
// large. It stops at the first search that reads anything: a frame with several
// codes may give all or only one of them. img is not changed and not kept, and
// without Options.Video the result does not depend on what was read before.
func (r *Reader) Read(img *image.Gray) []Code {
	r.stats.Frames++
	r.hint = NoHint
	w, h := img.Rect.Dx(), img.Rect.Dy()
	if w < 21 || h < 21 {
		return nil
	}
	if w > r.opt.MaxPixels/h || img.Stride < w || len(img.Pix) < (h-1)*img.Stride+w {
		r.stats.Refused++
		return nil
	}
	limit := r.opt.Deadline
	if limit == 0 {
		limit = time.Duration(float64(DefaultDeadline) * max(float64(w*h)/(640*480), 0.25))
	}
	r.end = time.Now().Add(limit)

	r.finders, r.mute = r.finders[:0], r.mute[:0]
	r.frame.view(img.Pix, w, h, img.Stride)
	defer func() { r.frame.pix = nil }()
	codes := r.look()
	if codes == nil {
		r.hint = r.judge(&r.frame)
	}
	return codes
}

// look makes the searches, and tries what they find.
func (r *Reader) look() []Code {
	everything := !r.opt.Video
	turn := cheap + int(r.stats.Frames%(searches-cheap))
	for r.round = range searches {
		if r.late() {
			return nil
		}
		if r.round >= cheap && r.round != turn && !everything {
			continue
		}
		r.search()
		r.group(&r.frame)
		if codes := r.tryAll(); codes != nil {
			r.rest = 0
			return codes
		}
		if r.round >= cheap-1 && !everything && r.rest == 0 {
			_, _, everything = r.signs()
		}
	}
	if !everything {
		r.rest = max(r.rest-1, 0)
		return nil
	}
	// What looked like a code and is none mostly stays where it is.
	r.rest = restFrames
	if r.late() {
		return nil
	}
	r.pair(&r.frame)
	codes := r.tryAll()
	if codes != nil {
		r.rest = 0
	}
	return codes
}

// restFrames is the number of frames that are spared what led to nothing.
const restFrames = 3

// signs returns two finders that may be of one symbol.
func (r *Reader) signs() (a, b *finder, ok bool) {
	for i := range r.finders {
		for k := range r.finders[:i] {
			if a, b := &r.finders[k], &r.finders[i]; a.sign == b.sign && near(a, b) {
				return a, b, true
			}
		}
	}
	return nil, nil, false
}

// searches is the number of ways to look for finder patterns. Each adds to what
// those before it found.
const (
	searches = 4
	cheap    = 2 // of them
)

// search looks for finder patterns in the way of this round.
func (r *Reader) search() {
	switch r.round {
	case 0: // a good card has finders on many lines
		r.find(&r.frame, 0, 2*max(3, r.frame.h/180))
	case 1: // the lines between
		step := max(3, r.frame.h/180)
		r.find(&r.frame, step, 2*step)
	case 2: // noise
		r.copied.smooth(&r.frame)
		r.find(&r.copied, 0, max(3, r.copied.h/160))
	case 3: // large symbols of rough grain
		r.copied.halve(&r.frame)
		r.find(&r.copied, 0, 3)
	}
}

// late reports whether the frame's time is over, and counts the first time.
func (r *Reader) late() bool {
	if r.end.IsZero() {
		return true
	}
	if time.Now().Before(r.end) {
		return false
	}
	r.stats.Late++
	r.end = time.Time{}
	return true
}

// tryAll reads the triples, the likeliest first, until one can be read, and
// then a few that have nothing to do with it, for there may be several cards.
func (r *Reader) tryAll() []Code {
	var codes []Code
	more := maxMore
	for i := range r.triples {
		t := &r.triples[i]
		covers := func(c Code) bool { return c.covers(t) }
		if slices.ContainsFunc(codes, covers) || slices.ContainsFunc(r.mute, covers) {
			continue
		}
		if more == 0 || r.late() {
			break
		}
		if c, ok := r.try(&r.frame, t); ok {
			if c.Text == "" {
				r.mute = append(r.mute, c)
				continue
			}
			codes = append(codes, c)
		}
		if codes != nil {
			more--
		}
	}
	return codes
}

// maxMore is the number of triples that are tried after one was read.
const maxMore = 4

// covers reports whether a finder of t lies in the symbol.
func (c *Code) covers(t *triple) bool {
	for i, at := range t.at {
		if i == t.guessed {
			continue
		}
		inside := 0
		for k, a := range c.Corners {
			b := c.Corners[(k+1)%4]
			if (b.X-a.X)*(float64(at[1])-a.Y) > (b.Y-a.Y)*(float64(at[0])-a.X) {
				inside++
			}
		}
		if inside == 0 || inside == 4 { // whichever way round the corners go
			return true
		}
	}
	return false
}

// try reads the symbol whose finders are t. One that is sound but holds no text is
// read as well: whatever else is tried, it says nothing.
func (r *Reader) try(p *plane, t *triple) (Code, bool) {
	p.lift(t.unit)
	var near guess // the best that could not be read
	for _, g := range r.guess(p, t) {
		// A good card held straight is read where the guess says it is.
		if g.score >= minEarly {
			if c, ok := r.read(p, t, &g, false); ok {
				return c, true
			}
		}
		r.register(p, t, &g)
		if g.score < minMatch {
			continue
		}
		if c, ok := r.read(p, t, &g, true); ok {
			return c, true
		}
		if g.score > near.score {
			near = g
		}
	}
	if near.score == 0 {
		return Code{}, false
	}
	bent := append(r.guessBent(p, t), near)
	for i := range bent {
		if r.late() {
			break
		}
		r.bend(p, t, &bent[i])
		if c, ok := r.read(p, t, &bent[i], true); ok {
			return c, true
		}
	}
	return Code{}, false
}

// read samples the symbol that lies as g says, and decodes it. Only a pose that
// is as good as it gets is worth the trouble of undoing blur.
func (r *Reader) read(p *plane, t *triple, g *guess, final bool) (Code, bool) {
	l := r.layout(g.version)
	r.grid.sample(p, &g.pose, t.sign)
	c, mirrored, ok := r.decode(&r.grid, l)
	if !ok && final {
		r.grid.equalise(l)
		c, mirrored, ok = r.decode(&r.grid, l)
	}
	if !ok {
		if r.told != nil && final {
			r.told.Unread = append(r.told.Unread, Unread{Version: g.version, Fit: float64(g.score), Corners: g.pose.outline()})
		}
		return Code{}, false
	}
	c.Corners = g.pose.outline()
	if mirrored {
		c.Corners[1], c.Corners[3] = c.Corners[3], c.Corners[1]
	}
	return c, true
}
