package retention

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/qrgate/qrgate/server/durable"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/retention/proof"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/rights"
)

// A Sealer seals audit rows and keeps a copy of the newest seal outside the
// database, so that cutting off the end of the chain is found.
type Sealer struct {
	Store  *store.Store
	Rights *rights.Rights
	Sign   proof.Signer
	Keys   proof.Keys // all that ever sealed
	File   string     // where the copy is; empty means nowhere
	Log    *slog.Logger

	last rights.Seal // that is in the file; only Run uses it
}

// SealEvery is how often audit rows are sealed: so long nobody would find what
// somebody changes who may write to the database.
const SealEvery = 3 * time.Second

// Run seals every few seconds until ctx ends. What fails is tried again.
func (s *Sealer) Run(ctx context.Context) error {
	tick := time.NewTicker(SealEvery)
	defer tick.Stop()
	failed := false
	for {
		select {
		case <-ctx.Done():
			// The rows of the last seconds, too.
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), SealEvery)
			defer cancel()
			if err := s.Seal(ctx); err != nil {
				s.Log.Warn("last audit rows not sealed", "err", err)
			}
			return nil
		case <-tick.C:
		}
		err := s.Seal(ctx)
		if err != nil && !failed && ctx.Err() == nil {
			s.Log.Error("audit rows not sealed", "err", err)
		}
		failed = err != nil
	}
}

// A head is the newest seal, as the file holds it.
type head struct {
	Generation uint64 `json:"database_generation"`
	Seal       int64  `json:"seal"`
	Hash       string `json:"hash"`
	Made       string `json:"made"`
}

// Seal seals all rows that are not sealed.
func (s *Sealer) Seal(ctx context.Context) error {
	n, err := s.Rights.Seal(ctx, s.Sign)
	if err != nil || n == 0 && s.last.No != 0 || s.File == "" {
		return err
	}
	newest, err := s.Rights.NewestSeal(ctx, 0)
	if errors.Is(err, qrgate.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	// What was cut off must not be covered up.
	if cut, err := s.cut(ctx); err != nil || cut {
		if cut {
			err = errCut
		}
		return err
	}
	generation, err := s.Store.Generation(ctx)
	if err != nil {
		return err
	}
	file, err := proof.Sign(proof.Head, head{generation, newest.No, hex.EncodeToString(newest.Hash), newest.At.In(qrgate.Zone).Format(time.RFC3339)}, s.Sign)
	if err != nil {
		return err
	}
	if err := durable.Replace(s.File, file); err != nil {
		return fmt.Errorf("retention: newest seal: %w", err)
	}
	s.last = newest
	return nil
}

var errCut = errors.New("retention: the newest seal that was made is not in the database")

// Verify seals what is not sealed and checks the whole chain.
func (s *Sealer) Verify(ctx context.Context) (*rights.Chain, error) {
	if _, err := s.Rights.Seal(ctx, s.Sign); err != nil {
		return nil, err
	}
	c, err := s.Rights.VerifyAudit(ctx, s.Keys)
	if err != nil {
		return nil, err
	}
	cut, err := s.cut(ctx)
	if cut {
		c.Found = append(c.Found, rights.Found{Fault: rights.Cut, Seal: c.Newest.No, From: c.Newest.At, To: c.At})
	}
	return c, err
}

// cut reports whether the seal that the file holds is not in the database. A
// database that was restored since lacks the newest ones and is not meant.
func (s *Sealer) cut(ctx context.Context) (bool, error) {
	if s.File == "" {
		return false, nil
	}
	file, err := os.ReadFile(s.File)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("retention: newest seal: %w", err)
	}
	var h head
	if err := proof.Open(proof.Head, file, s.Keys, &h); err != nil {
		return true, nil // somebody has changed it
	}
	generation, err := s.Store.Generation(ctx)
	if err != nil || generation != h.Generation {
		return false, err
	}
	held, err := s.Rights.NewestSeal(ctx, h.Seal)
	if errors.Is(err, qrgate.ErrNotFound) {
		return true, nil
	}
	hash, _ := hex.DecodeString(h.Hash)
	return err == nil && !bytes.Equal(hash, held.Hash), err
}
