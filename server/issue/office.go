package issue

import (
	"context"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/issuing"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/seal"
	"github.com/qrgate/qrgate/sync/wire"
)

// Errors of Sign that callers treat differently.
var (
	ErrBatchQuota = errors.New("issue: more than one batch may have")
	ErrDayQuota   = errors.New("issue: more than may be signed today")
)

// A Request is passes to be signed.
type Request struct {
	Purpose wire.Purpose // ForCard or ForEvent
	By      string       // account; empty if nobody has signed in
	Object  string       // as audit rows name it
	Passes  []pass.OwnCard
}

// A Sign returns the texts of passes in their order. Of a pass that does not stand in
// the register, or is void, the text is empty. The keys' ids are chosen by whoever
// signs. It waits until ctx ends if nobody does.
type Sign func(ctx context.Context, r Request) ([]string, error)

// With returns a Sign that has a key itself and asks for no quota: for tests of pages.
func With(id uint8, key ed25519.PrivateKey) Sign {
	return func(_ context.Context, r Request) ([]string, error) { return signAll(id, key, r.Passes) }
}

func signAll(id uint8, key ed25519.PrivateKey, passes []pass.OwnCard) ([]string, error) {
	texts := make([]string, len(passes))
	for i, c := range passes {
		if c.Number == 0 {
			continue
		}
		var err error
		c.Key = id
		if texts[i], err = pass.Sign(c, key); err != nil {
			return nil, err
		}
	}
	return texts, nil
}

// An Office asks for signatures. It is safe for concurrent use.
type Office struct {
	kept   *issuing.Issuing
	public []byte
	opener *seal.Opener
	nudge  chan struct{}
	now    func() time.Time

	mu    sync.Mutex
	known map[pass.OwnCard]known // single passes that were signed lately
}

// A known is a text and when it was signed.
type known struct {
	text string
	at   time.Time
}

// What an office remembers: a guest who looks at the pass again and again, or many who
// do before a door opens, are no reason to ask again.
const (
	maxKnown = 20_000
	knownFor = 10 * time.Minute
)

// NewOffice returns an office that asks over kept. It nudges a signer of its own
// process, see [Office.Nudge].
func NewOffice(kept *issuing.Issuing, now func() time.Time) (*Office, error) {
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("issue: office: %w", err)
	}
	opener, err := seal.NewOpener(map[uint32][]byte{answerKey: key.Bytes()})
	if err != nil {
		return nil, fmt.Errorf("issue: office: %w", err)
	}
	return &Office{kept: kept, public: key.PublicKey().Bytes(), opener: opener, nudge: make(chan struct{}, 1), now: now, known: map[pass.OwnCard]known{}}, nil
}

// Nudge returns what tells a signer of this process that there is something to sign.
func (o *Office) Nudge() <-chan struct{} { return o.nudge }

// answerKey is the id under which an office's key seals.
const answerKey = 1

// Times between looks for an answer.
const (
	firstLook = 5 * time.Millisecond
	lastLook  = 300 * time.Millisecond
)

// forgetting is how long an order may take to be dropped once its office has what it
// wants, or wants nothing any more.
const forgetting = 5 * time.Second

// Sign is a [Sign]. Beside ctx's end, its errors are [ErrBatchQuota], [ErrDayQuota],
// [qrgate.ErrConflict] for a card that was signed with another content before, and those
// of the database.
func (o *Office) Sign(ctx context.Context, r Request) ([]string, error) {
	if len(r.Passes) == 0 {
		return nil, nil
	}
	if text := o.remember(r.Passes); text != "" {
		return []string{text}, nil
	}
	order := issuing.Order{Purpose: r.Purpose, Object: r.Object, By: r.By, Public: o.public}
	if err := o.kept.Ask(ctx, &order, r.Passes); err != nil {
		return nil, fmt.Errorf("issue: %w", err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), forgetting)
		defer cancel()
		_ = o.kept.Forget(ctx, order.ID) // else it is swept
	}()
	select {
	case o.nudge <- struct{}{}:
	default:
	}
	answers, err := o.await(ctx, order.ID)
	if err != nil {
		return nil, fmt.Errorf("issue: %w", err)
	}
	texts, err := o.open(order.ID, answers, r.Passes)
	if err != nil {
		return nil, fmt.Errorf("issue: %w", err)
	}
	o.learn(r.Passes, texts)
	return texts, nil
}

func (o *Office) await(ctx context.Context, id string) ([][]byte, error) {
	for wait := firstLook; ; wait = min(2*wait, lastLook) {
		look := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			look.Stop()
			return nil, ctx.Err()
		case <-look.C:
		}
		answers, order, err := o.kept.Answers(ctx, id)
		switch {
		case err != nil:
			return nil, err
		case order.State == issuing.Signed:
			return answers, nil
		case order.State != issuing.Refused:
			continue
		}
		switch order.Reason {
		case issuing.OverBatch:
			return nil, ErrBatchQuota
		case issuing.OverDay:
			return nil, ErrDayQuota
		}
		return nil, fmt.Errorf("signed with another content before: %w", qrgate.ErrConflict)
	}
}

// An answer is a part's texts, one a line, sealed to an office.
type answer struct {
	Context wire.Context `cbor:"1,keyasint"`
	Box     wire.Sealed  `cbor:"2,keyasint"`
}

// sealedFor binds an answer to its part.
func sealedFor(order string, no int) []byte {
	return fmt.Appendf(nil, "qrgate signed passes v1\x00%s\x00%d", order, no)
}

// open opens answers, and sees that they are to what was asked.
func (o *Office) open(id string, answers [][]byte, asked []pass.OwnCard) ([]string, error) {
	var texts []string
	for no, b := range answers {
		var a answer
		if err := wire.Decode(b, &a); err != nil {
			return nil, err
		}
		plain, err := o.opener.Open(a.Context, sealedFor(id, no), a.Box)
		if err != nil {
			return nil, err
		}
		texts = append(texts, strings.Split(string(plain), "\n")...)
	}
	if len(texts) != len(asked) {
		return nil, fmt.Errorf("%d texts for %d passes", len(texts), len(asked))
	}
	for i, text := range texts {
		if text == "" {
			continue
		}
		p, err := pass.Parse(text)
		if err != nil {
			return nil, err
		}
		is, want := p.Card, asked[i]
		if is.Key, want.Key = 0, 0; is != want {
			return nil, errors.New("another pass was signed than was asked for")
		}
	}
	return texts, nil
}

func (o *Office) remember(passes []pass.OwnCard) string {
	if len(passes) != 1 {
		return ""
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	k, ok := o.known[passes[0]]
	if !ok || o.now().Sub(k.at) > knownFor {
		return ""
	}
	return k.text
}

func (o *Office) learn(passes []pass.OwnCard, texts []string) {
	if len(passes) != 1 || texts[0] == "" || passes[0].Kind != pass.Event {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.known) >= maxKnown {
		clear(o.known)
	}
	o.known[passes[0]] = known{texts[0], o.now()}
}
