package deliver

import (
	"bufio"
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/qrgate/qrgate/sync/outbox"
	"github.com/qrgate/qrgate/sync/wire"
)

// A bundle is envelopes in a file, for a USB stick: a line that names the format
// and the kiosk, each envelope behind its length in four bytes, big end first,
// and a length of zero at the end. It goes both ways: batches to the server,
// receipts back.
const bundleMagic = "QRGATE-BUNDLE 1 "

// WriteBundle writes envelopes of one kiosk as a bundle. It stops at the first
// error, its own or one of envelopes; what is written by then reads as
// truncated.
func WriteBundle(w io.Writer, kiosk string, envelopes iter.Seq2[[]byte, error]) error {
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "%s%s\n", bundleMagic, kiosk)
	for e, err := range envelopes {
		if err != nil {
			return fmt.Errorf("deliver: bundle: %w", err)
		}
		if len(e) == 0 || len(e) > wire.MaxMessage {
			return fmt.Errorf("deliver: bundle: envelope of %d bytes: %w", len(e), wire.ErrTooLarge)
		}
		out.Write(binary.BigEndian.AppendUint32(nil, uint32(len(e))))
		out.Write(e)
	}
	out.Write(make([]byte, 4))
	if err := out.Flush(); err != nil {
		return fmt.Errorf("deliver: bundle: %w", err)
	}
	return nil
}

// ReadBundle reads the head of a bundle and returns the kiosk that it claims to
// be of and its envelopes, which are read as they are ranged over, once.
// Nothing in it is verified. A bundle that was cut short yields what is whole
// and then [io.ErrUnexpectedEOF]; every other damage is [wire.ErrMalformed].
func ReadBundle(r io.Reader) (kiosk string, envelopes iter.Seq2[[]byte, error], err error) {
	in := bufio.NewReaderSize(r, 4096)
	head, err := in.ReadSlice('\n')
	kiosk, ok := strings.CutPrefix(strings.TrimSuffix(string(head), "\n"), bundleMagic)
	switch {
	case err == io.EOF:
		return "", nil, fmt.Errorf("deliver: bundle: %w", io.ErrUnexpectedEOF)
	case err != nil && err != bufio.ErrBufferFull:
		return "", nil, fmt.Errorf("deliver: bundle: %w", err)
	case err != nil || !ok || !wire.ValidKiosk(kiosk):
		return "", nil, fmt.Errorf("deliver: not a bundle: %w", wire.ErrMalformed)
	}
	return kiosk, func(yield func([]byte, error) bool) {
		for {
			e, err := readEnvelope(in)
			if err == io.EOF {
				return
			}
			if err != nil {
				yield(nil, fmt.Errorf("deliver: bundle: %w", err))
				return
			}
			if !yield(e, nil) {
				return
			}
		}
	}, nil
}

// Envelopes returns what q holds without a receipt as signed batches, for
// [WriteBundle]. Records that are put meanwhile may be missing. Nothing counts
// as sent: only receipts do.
func Envelopes(kiosk string, key ed25519.PrivateKey, q *outbox.Queue) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for from := q.Stats().Through + 1; ; {
			run, err := q.Peek(from, wire.MaxBatchRecords)
			if err != nil {
				yield(nil, err)
				return
			}
			if len(run.Records) == 0 || !yield(seal(kiosk, key, run, q.Stats(), true), nil) {
				return
			}
			from = run.End() + 1
		}
	}
}

// readEnvelope returns io.EOF at the end mark and only there.
func readEnvelope(r io.Reader) ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, cut(err)
	}
	n := binary.BigEndian.Uint32(size[:])
	if n == 0 {
		return nil, io.EOF
	}
	if n > wire.MaxMessage {
		return nil, fmt.Errorf("envelope of %d bytes: %w", n, wire.ErrMalformed)
	}
	e := make([]byte, n)
	if _, err := io.ReadFull(r, e); err != nil {
		return nil, cut(err)
	}
	return e, nil
}

func cut(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
