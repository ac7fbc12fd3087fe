package fleet

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// A Post is a message that waits for an address of the web to take it.
type Post struct {
	ID           string
	Subscription string
	Address      string
	Body         []byte
	Made, Due    time.Time
	Tries        int
}

// An Outbox keeps posts: package store/fleet.
type Outbox interface {
	Lease(ctx context.Context, lasts time.Duration) (bool, error)
	// Posts returns at most n posts that are due, the oldest first.
	Posts(ctx context.Context, now time.Time, n int) ([]Post, error)
	// Again makes a post due later; Done drops it.
	Again(ctx context.Context, id string, due time.Time) error
	Done(ctx context.Context, id string) error
}

// A Poster sends posts. Each carries
//
//	QRGate-Time: UNIX-SECONDS
//	QRGate-Signature: sha256=HEX
//
// the HMAC-SHA-256 under [Secret] of the time, a dot and the body. Whoever answers
// with 2xx has taken it; others get it again, later each time, for a day. It may
// come twice.
type Poster struct {
	Outbox Outbox
	Client *http.Client
	Secret func(subscription string) []byte
	Now    func() time.Time
	Log    *slog.Logger
}

const (
	postEvery   = 2 * time.Second
	postTimeout = 10 * time.Second
	postsAtOnce = 20
	postKept    = 24 * time.Hour
	postFirst   = 15 * time.Second
	postLast    = time.Hour
)

// NewClient returns the client that a [Poster] shall have: it follows nobody
// elsewhere.
func NewClient() *http.Client {
	return &http.Client{Timeout: postTimeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// Run sends what is due until ctx ends.
func (p *Poster) Run(ctx context.Context) error {
	tick := time.NewTicker(postEvery)
	defer tick.Stop()
	for {
		if err := p.Once(ctx); err != nil && ctx.Err() == nil {
			p.Log.Warn("alarms not posted", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Once sends what is due now, unless another server does.
func (p *Poster) Once(ctx context.Context) error {
	mine, err := p.Outbox.Lease(ctx, leaseLasts)
	if err != nil || !mine {
		return err
	}
	due, err := p.Outbox.Posts(ctx, p.Now(), postsAtOnce)
	if err != nil {
		return err
	}
	for _, post := range due {
		if err := p.send(ctx, post); err == nil {
			err = p.Outbox.Done(ctx, post.ID)
			if err != nil {
				return err
			}
			continue
		} else if ctx.Err() != nil {
			return nil
		} else {
			p.Log.Warn("post not taken", "subscription", post.Subscription, "tries", post.Tries+1, "err", err)
		}
		now := p.Now()
		if now.Sub(post.Made) >= postKept {
			err = p.Outbox.Done(ctx, post.ID)
		} else {
			err = p.Outbox.Again(ctx, post.ID, now.Add(min(postFirst<<min(post.Tries, 10), postLast)))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *Poster) send(ctx context.Context, post Post) error {
	ctx, cancel := context.WithTimeout(ctx, postTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, post.Address, bytes.NewReader(post.Body))
	if err != nil {
		return fmt.Errorf("fleet: post: %w", err)
	}
	at := strconv.FormatInt(p.Now().Unix(), 10)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "qrgate")
	r.Header.Set("QRGate-Time", at)
	r.Header.Set("QRGate-Signature", Sign(p.Secret(post.Subscription), at, post.Body))
	answer, err := p.Client.Do(r)
	if err != nil {
		var of *url.Error
		if errors.As(err, &of) {
			err = of.Err // an address may hold a secret of its own
		}
		return fmt.Errorf("fleet: post: %w", err)
	}
	defer answer.Body.Close()
	io.CopyN(io.Discard, answer.Body, 4<<10)
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("fleet: post: answer %d", answer.StatusCode)
	}
	return nil
}

// Sign returns the signature of a body that is sent at a time.
func Sign(secret []byte, at string, body []byte) string {
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(at + "."))
	h.Write(body)
	return "sha256=" + hex.EncodeToString(h.Sum(nil))
}

// Secret returns the secret of a subscription, in hex as people copy it, from a key
// that every server has.
func Secret(key []byte, subscription string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte("qrgate alarm post\x00" + subscription))
	return []byte(hex.EncodeToString(h.Sum(nil)))
}
