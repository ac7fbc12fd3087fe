package ingest_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/klauspost/compress/zstd"

	"github.com/qrgate/qrgate/sync/deliver"
	"github.com/qrgate/qrgate/sync/wire"
)

// BenchmarkPlainFromMQTT is the peer of BenchmarkFromMQTT: what a consumer does
// that only moves the same messages from the same broker into a table. It opens
// no seal, checks no signature, keeps no ledger and signs nothing; it takes
// whatever is waiting into one durable transaction, and then answers.
func BenchmarkPlainFromMQTT(b *testing.B) {
	for _, e := range engines {
		for _, kiosks := range []int{50, 500} {
			for _, size := range []int{64, 1} {
				b.Run(fmt.Sprintf("%s/kiosks=%d/batch=%d", e.name, kiosks, size), func(b *testing.B) {
					w := newWorld(b, e)
					s := newSite(w)
					each := max(1, b.N/(kiosks*size))
					l := newLoad(b, w, kiosks, size, each)
					p := &plain{b: b, link: s.serverLink(), batches: make(chan *wire.Batch, 4096)}
					p.open(e.dsn(b))
					w.background(p.run)
					l.connect(s.kioskLink)
					before := processor()
					b.ResetTimer()
					rate := l.run(0, each, 0)
					b.StopTimer()
					b.ReportMetric(rate, "checkins/s")
					b.ReportMetric(float64((processor()-before).Nanoseconds())/1000/float64(each*size*kiosks), "cpu-µs/checkin")
					b.ReportMetric(0, "ns/op")
				})
			}
		}
	}
}

// A plain is such a consumer.
type plain struct {
	b       *testing.B
	link    deliver.Link
	db      *sql.DB
	pg      bool
	batches chan *wire.Batch
}

func (p *plain) open(dsn string) {
	p.b.Helper()
	driver, blob := "sqlite", "BLOB"
	if path, ok := strings.CutPrefix(dsn, "sqlite:"); ok {
		dsn = "file:" + path + "?_pragma=journal_mode(wal)&_pragma=synchronous(full)"
	} else {
		driver, blob, p.pg = "pgx", "BYTEA", true
	}
	var err error
	if p.db, err = sql.Open(driver, dsn); err != nil {
		p.b.Fatal(err)
	}
	p.b.Cleanup(func() { p.db.Close() })
	_, err = p.db.Exec(`CREATE TABLE plain (kiosk TEXT NOT NULL, seq BIGINT NOT NULL, wall BIGINT NOT NULL, gate TEXT NOT NULL,
		direction BIGINT NOT NULL, pass BIGINT NOT NULL, verdict BIGINT NOT NULL, box ` + blob + `, PRIMARY KEY (kiosk, seq))`)
	if err != nil {
		p.b.Fatal(err)
	}
}

var inflate, _ = zstd.NewReader(nil)

func (p *plain) run(ctx context.Context) error {
	err := p.link.Subscribe(ctx, wire.Filter("ingest", wire.UpBatch), func(_ string, payload []byte) {
		var e wire.Envelope
		var b wire.Batch
		err := wire.Decode(payload, &e)
		if err == nil && e.Packed {
			e.Body, err = inflate.DecodeAll(e.Body, nil)
		}
		if err == nil {
			err = wire.Decode(e.Body, &b)
		}
		if err != nil {
			p.b.Error(err)
			return
		}
		p.batches <- &b
	})
	if err != nil {
		return err
	}
	for {
		var all []*wire.Batch
		select {
		case <-ctx.Done():
			return nil
		case b := <-p.batches:
			all = append(all, b)
		}
		for n := len(p.batches); n > 0 && len(all) < 256; n-- {
			all = append(all, <-p.batches)
		}
		if err := p.store(ctx, all); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		for _, b := range all {
			payload := wire.Encode(wire.Envelope{V: wire.Version, Body: wire.Encode(wire.Receipt{V: wire.Version, Kiosk: b.Kiosk, Epoch: b.Epoch, Through: b.End()})})
			go p.link.Publish(ctx, wire.Topic(b.Kiosk, wire.DownReceipt), payload, false)
		}
	}
}

const plainColumns = 8

// store commits batches with the engine's fastest way of insertion.
func (p *plain) store(ctx context.Context, all []*wire.Batch) error {
	var rows [][]any
	for _, b := range all {
		for _, raw := range b.Records {
			r, h, err := wire.DecodeRecord(raw)
			if err != nil {
				return err
			}
			rows = append(rows, []any{b.Kiosk, int64(h.Seq), h.Wall, h.Gate, int64(h.Direction), int64(h.Pass), int64(h.Verdict), r.Box})
		}
	}
	if p.pg {
		conn, err := p.db.Conn(ctx)
		if err != nil {
			return err
		}
		defer conn.Close()
		return conn.Raw(func(driver any) error {
			_, err := driver.(*stdlib.Conn).Conn().CopyFrom(ctx, pgx.Identifier{"plain"},
				[]string{"kiosk", "seq", "wall", "gate", "direction", "pass", "verdict", "box"}, pgx.CopyFromRows(rows))
			return err
		})
	}
	tx, err := p.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	const chunk = 64
	one := "(" + strings.TrimSuffix(strings.Repeat("?, ", plainColumns), ", ") + ")"
	many, err := tx.PrepareContext(ctx, "INSERT INTO plain VALUES "+strings.TrimSuffix(strings.Repeat(one+", ", chunk), ", "))
	if err != nil {
		return err
	}
	single, err := tx.PrepareContext(ctx, "INSERT INTO plain VALUES "+one)
	if err != nil {
		return err
	}
	args := make([]any, 0, chunk*plainColumns)
	for len(rows) >= chunk {
		args = args[:0]
		for _, r := range rows[:chunk] {
			args = append(args, r...)
		}
		if _, err := many.ExecContext(ctx, args...); err != nil {
			return err
		}
		rows = rows[chunk:]
	}
	for _, r := range rows {
		if _, err := single.ExecContext(ctx, r...); err != nil {
			return err
		}
	}
	return tx.Commit()
}
