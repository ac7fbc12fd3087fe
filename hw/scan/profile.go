package scan

import (
	"errors"
	"fmt"
	"time"
)

// Ends is the set of what may end a frame.
type Ends uint8

// The ends of a frame. CR LF needs no member of its own: the empty frame
// between the two is ignored.
const (
	EndCR Ends = 1 << iota
	EndLF
	EndTab
	EndETX
	EndSilence // a pause of Profile.Gap; for scanners that send no suffix

	endAll = 1<<iota - 1
)

// A Profile says how one model of scanner frames its codes. The zero value
// fits nearly all of them.
type Profile struct {
	Name string // as in settings and logs

	// Prefix must stand before every code when not empty. An STX that opens a
	// frame is dropped whether it is the prefix or not.
	Prefix string

	// Ends says what ends a code; zero means CR, LF or ETX.
	Ends Ends

	// Gap is the pause after which an unfinished frame is dropped as bad or,
	// with EndSilence, delivered. Zero means 300 ms, and 100 ms with
	// EndSilence. At 9600 baud a byte takes 1 ms, but the kernel and USB
	// adapters deliver in lumps: a shorter gap than 50 ms is refused.
	Gap time.Duration

	// MaxBytes is the longest code; zero means 4096, which holds every health
	// certificate (HC1). A frame never takes more memory than this.
	MaxBytes int

	// StripAIM moves an AIM identifier such as "]Q1" from the text to
	// Scan.Symbology and undoes the doubling of backslashes that the ECI
	// protocol brings. Only for scanners that are set to send identifiers.
	StripAIM bool

	// Answers drops the answers of GM65 and Waveshare modules to commands
	// (02 00 00 ...), which arrive in the middle of the data.
	Answers bool

	// Probe is sent to an idle scanner that can answer, so that a dead one is
	// told from an unused one; it needs Answers. Empty means never.
	Probe string
}

const (
	maxPrefix   = 16
	maxMaxBytes = 64 << 10
	minGap      = 50 * time.Millisecond
	maxGap      = 5 * time.Second
)

// ProfileNamed returns a built-in profile; its fields may then be changed.
//
//	default  ends at CR, LF, CR LF or ETX, with or without STX before the code
//	keyboard the same, and TAB
//	tab      ends at TAB only
//	stx-etx  STX, code, ETX; anything outside is noise
//	aim      default, with AIM identifiers
//	silence  no suffix: a pause ends the code. Last resort; fragments pass as codes
//	gm65     GM65, GM6x and Waveshare modules: command answers, probes, CR
func ProfileNamed(name string) (Profile, error) {
	p := Profile{Name: name}
	switch name {
	case "default":
	case "keyboard":
		p.Ends = EndCR | EndLF | EndTab | EndETX
	case "tab":
		p.Ends = EndTab
	case "stx-etx":
		p.Prefix, p.Ends = "\x02", EndETX
	case "aim":
		p.StripAIM = true
	case "silence":
		p.Ends = EndCR | EndLF | EndETX | EndSilence
	case "gm65":
		p.Answers = true
		p.Probe = "\x7e\x00\x07\x01\x00\x2a\x02\xd8\x0f" // "which baud rate": harmless to ask
	default:
		return Profile{}, fmt.Errorf("scan: no profile named %q", name)
	}
	return p, nil
}

// Check reports the first field that no Framer can follow.
func (p Profile) Check() error {
	fail := func(why string) error { return fmt.Errorf("scan: profile %q: %s", p.Name, why) }
	p = p.withDefaults()
	switch {
	case p.Ends > endAll:
		return fail("unknown end")
	case p.Gap < minGap || p.Gap > maxGap:
		return fail(fmt.Sprintf("gap %v is not between %v and %v", p.Gap, minGap, maxGap))
	case p.MaxBytes < 1 || p.MaxBytes > maxMaxBytes:
		return fail(fmt.Sprintf("max bytes %d is not between 1 and %d", p.MaxBytes, maxMaxBytes))
	case len(p.Prefix) > maxPrefix:
		return fail(fmt.Sprintf("prefix is longer than %d bytes", maxPrefix))
	case p.Probe != "" && !p.Answers:
		return fail("a probe needs answers to be filtered")
	}
	for i := range len(p.Prefix) {
		if c := p.Prefix[i]; p.Ends.has(c) || c == stx && i > 0 || c != stx && !textByte(c) {
			return fail(fmt.Sprintf("prefix byte %#02x cannot open a frame", c))
		}
	}
	return nil
}

func (p Profile) withDefaults() Profile {
	if p.Ends == 0 {
		p.Ends = EndCR | EndLF | EndETX
	}
	if p.Gap == 0 {
		p.Gap = 300 * time.Millisecond
		if p.Ends&EndSilence != 0 {
			p.Gap = 100 * time.Millisecond
		}
	}
	if p.MaxBytes == 0 {
		p.MaxBytes = 4096
	}
	return p
}

// has reports whether c ends a frame.
func (e Ends) has(c byte) bool {
	switch c {
	case '\r':
		return e&EndCR != 0
	case '\n':
		return e&EndLF != 0
	case '\t':
		return e&EndTab != 0
	case etx:
		return e&EndETX != 0
	}
	return false
}

const (
	stx = 0x02
	etx = 0x03
	gs  = 0x1d // separates fields in GS1 codes, so it is text
)

// textByte reports whether c may stand in a code. Bytes above 0x7f are judged
// later: they may be UTF-8, or a scanner's own code page.
func textByte(c byte) bool { return c >= ' ' && c != 0x7f || c == gs }

// Why a frame was dropped. Wrapped errors never quote the frame.
var (
	ErrTooLong      = errors.New("frame is too long")
	ErrControl      = errors.New("control character in frame")
	ErrUnterminated = errors.New("frame without an end")
	ErrPrefix       = errors.New("frame without its prefix")
	ErrAnswer       = errors.New("damaged device answer")
)
