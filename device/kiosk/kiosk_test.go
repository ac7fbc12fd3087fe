package kiosk_test

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/device/kiosk"
	"github.com/qrgate/qrgate/hw/panel"
	"github.com/qrgate/qrgate/hw/scan"
	"github.com/qrgate/qrgate/sync/outbox"
	"github.com/qrgate/qrgate/sync/pass"
	"github.com/qrgate/qrgate/sync/seal"
	"github.com/qrgate/qrgate/sync/when"
	"github.com/qrgate/qrgate/sync/wire"
	"github.com/qrgate/qrgate/sync/words"
)

const kioskID = "dong-ba-gate-1"

// today is the day on which these doors stand; cards are made around it.
var today = time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)

// A queueOfScans hands out scans and then ends as an unplugged last scanner does.
type queueOfScans struct{ scans []scan.Scan }

func (q *queueOfScans) Next(context.Context) (scan.Scan, error) {
	if len(q.scans) == 0 {
		return scan.Scan{}, io.EOF
	}
	s := q.scans[0]
	q.scans = q.scans[1:]
	return s, nil
}

// A lampLog collects what the panel shows.
type lampLog struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lampLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lampLog) answers(t *testing.T) []string {
	t.Helper()
	return slices.DeleteFunc(l.signals(t), func(s string) bool { return s == panel.Ready.String() || s == panel.Reading.String() })
}

func (l *lampLog) signals(t *testing.T) []string {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []string
	for line := range bytes.Lines(l.b.Bytes()) {
		var got panel.Line
		if err := json.Unmarshal(line, &got); err != nil {
			t.Fatal(err)
		}
		all = append(all, got.Signal)
	}
	return all
}

type site struct {
	door  kiosk.Door
	queue *outbox.Queue
	lamps *lampLog
	src   *queueOfScans
	open  *seal.Opener
	card  ed25519.PrivateKey
	keys  pass.Keys // that the door trusts
	path  string
}

func newSite(t *testing.T, limit int64) *site {
	t.Helper()
	pub, card, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sealKey, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := seal.New(1, sealKey.PublicKey().Bytes())
	if err != nil {
		t.Fatal(err)
	}
	opener, err := seal.NewOpener(map[uint32][]byte{1: sealKey.Bytes()})
	if err != nil {
		t.Fatal(err)
	}
	clock := when.NewClock(when.Boot{1}, func() time.Duration { return time.Hour }, func() time.Time { return today }, today.AddDate(0, 0, -30))
	path := filepath.Join(t.TempDir(), "outbox.db")
	q, err := outbox.Open(t.Context(), path, outbox.Options{Limit: limit, Now: clock.Read})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { q.Close() })
	lamps, src := &lampLog{}, &queueOfScans{}
	log := slog.New(slog.DiscardHandler)
	keys := pass.Keys{1: {Public: pub, From: pass.DayOf(today.AddDate(-1, 0, 0))}}
	return &site{
		queue: q, lamps: lamps, src: src, open: opener, card: card, keys: keys, path: path,
		door: kiosk.Door{
			ID: kioskID, Source: src, Queue: q, Sealer: sealer, Clock: clock,
			Panel: panel.NewRecorder(lamps, panel.Config{}, log),
			Keys:  func() pass.Keys { return keys },
			Config: wire.KioskConfig{
				Place: "Chợ Đông Ba", Gate: "A1", Direction: wire.In, OnFault: wire.AdmitUnrecorded,
				Accept: []pass.Kind{pass.Card, pass.CCCD}, Repeat: 4 * time.Second, Reset: 3 * time.Second,
			},
		},
	}
}

func (s *site) sign(t *testing.T, kind pass.Kind, number uint32, first, last time.Time) string {
	t.Helper()
	text, err := pass.Sign(pass.OwnCard{Kind: kind, Key: 1, Number: number, Issue: 1, First: pass.DayOf(first), Last: pass.DayOf(last)}, s.card)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// serve shows texts to the door, a minute apart, and returns what it answered.
func (s *site) serve(t *testing.T, texts ...string) []string {
	t.Helper()
	at := time.Now()
	for _, text := range texts {
		at = at.Add(time.Minute)
		s.src.scans = append(s.src.scans, scan.Scan{Text: text, At: at})
	}
	s.run(t)
	return s.lamps.answers(t)
}

func (s *site) run(t *testing.T) {
	t.Helper()
	k, err := kiosk.New(s.door, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "EOF") {
		t.Fatalf("Run = %v, want the end of the scans", err)
	}
}

// records returns the check-ins in the ledger, with their opened subjects.
func (s *site) records(t *testing.T) (headers []wire.Header, subjects []*wire.Subject) {
	t.Helper()
	run, err := s.queue.Peek(1, wire.MaxBatchRecords)
	if err != nil {
		t.Fatal(err)
	}
	contexts := map[uint64]wire.Context{}
	for _, c := range run.Contexts {
		contexts[c.ID] = c
	}
	for _, b := range run.Records {
		r, h, err := wire.DecodeRecord(b)
		if err != nil {
			t.Fatal(err)
		}
		if h.Kind != wire.KindCheckin {
			continue
		}
		var who *wire.Subject
		if len(r.Box) > 0 {
			plain, err := s.open.Open(contexts[r.Context], wire.AdditionalData(kioskID, run.Epoch, r.Header), r.Sealed())
			if err != nil {
				t.Fatalf("record %d does not open: %v", h.Seq, err)
			}
			who = &wire.Subject{}
			if err := wire.Decode(plain, who); err != nil {
				t.Fatal(err)
			}
		}
		headers, subjects = append(headers, h), append(subjects, who)
	}
	return headers, subjects
}

func TestEveryVerdictIsRecorded(t *testing.T) {
	year := today.AddDate(1, 0, 0)
	s := newSite(t, 0)
	good := s.sign(t, pass.Card, 7, today, year)
	forged := []byte(good)
	if forged[40]++; forged[40] == 'Z'+1 || forged[40] == '7'+1 {
		forged[40] = 'A' // the next letter of base32, for another would be malformed
	}
	tests := []struct {
		name, text string
		signal     panel.Signal
		verdict    wire.Verdict
		reason     wire.Reason
		number     string // of the subject; "" if the record names nobody
	}{
		{"own card", good, panel.Admitted, wire.Admitted, wire.NoReason, "7"},
		{"identity card", "046190001234|191234567|Nguyễn Thị Hoa Mai|02031990|Nữ|Tổ 3, Thủy Xuân|10052021", panel.Admitted, wire.Admitted, wire.NoReason, "046190001234"},
		{"test card", s.sign(t, pass.Test, 1, today, year), panel.Admitted, wire.Admitted, wire.NoReason, ""},
		{"ended before the floor", s.sign(t, pass.Card, 8, today.AddDate(-1, 0, 0), today.AddDate(0, 0, -40)), panel.Refused, wire.Refused, wire.ReasonExpired, ""},
		{"begins after an unsure clock", s.sign(t, pass.Card, 9, today.AddDate(0, 0, 5), year), panel.Admitted, wire.Admitted, wire.NoReason, "9"},
		{"kind that is not accepted", s.sign(t, pass.Family, 10, today, year), panel.Refused, wire.Refused, wire.ReasonKind, ""},
		{"altered", string(forged), panel.Refused, wire.Refused, wire.ReasonSignature, ""},
		{"cut off", good[:100], panel.Refused, wire.Refused, wire.ReasonMalformed, ""},
		{"poster", "https://qr.example/p/ABCDEFG-1", panel.Refused, wire.Refused, wire.ReasonPoster, ""},
		{"nothing we know", "8934567890123", panel.Refused, wire.Refused, wire.ReasonUnknown, ""},
	}
	var texts []string
	for _, tt := range tests {
		texts = append(texts, tt.text)
	}
	answers := s.serve(t, texts...)
	headers, subjects := s.records(t)
	if len(answers) != len(tests) || len(headers) != len(tests) {
		t.Fatalf("%d answers and %d records for %d scans", len(answers), len(headers), len(tests))
	}
	for i, tt := range tests {
		h, who := headers[i], ""
		if subjects[i] != nil {
			if who = subjects[i].Number; who == "" {
				who = string(rune('0' + subjects[i].Card))
			}
		}
		if answers[i] != tt.signal.String() || h.Verdict != tt.verdict || h.Reason != tt.reason || who != tt.number {
			t.Errorf("%s: %s, recorded %s (%s) with subject %q; want %s, %s (%s), %q",
				tt.name, answers[i], h.Verdict, h.Reason, who, tt.signal, tt.verdict, tt.reason, tt.number)
		}
	}
}

func TestCardThatStaysInView(t *testing.T) {
	s := newSite(t, 0)
	card := s.sign(t, pass.Card, 7, today, today.AddDate(1, 0, 0))
	at := time.Now()
	for range 50 { // five seconds before a camera
		at = at.Add(100 * time.Millisecond)
		s.src.scans = append(s.src.scans, scan.Scan{Text: card, At: at})
	}
	s.src.scans = append(s.src.scans, scan.Scan{Text: card, At: at.Add(2 * time.Second)}, scan.Scan{Text: card, At: at.Add(20 * time.Second)})
	s.run(t)
	want := []string{"admitted", "again", "admitted"}
	if got := s.lamps.answers(t); strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("answers %v, want %v", got, want)
	}
	if headers, _ := s.records(t); len(headers) != 2 {
		t.Errorf("%d records, want one for each showing: 2", len(headers))
	}
}

// fill fills the outbox of a site that has the least limit.
func (s *site) fill(t *testing.T) {
	t.Helper()
	ctx := wire.NewContext(1, make([]byte, 32))
	var err error
	for err == nil {
		_, err = s.queue.Put(func(_ wire.Epoch, seq uint64) (wire.Record, wire.Context, error) {
			h := wire.Header{Seq: seq, Kind: wire.KindCheckin}
			return wire.NewRecord(h, wire.Sealed{Key: 1, Context: ctx.ID, Box: make([]byte, 7000)}), ctx, nil
		})
	}
	if !errors.Is(err, outbox.ErrFull) {
		t.Fatal(err)
	}
}

// A refused card that was taken away and shown again within the window was told that
// it is recorded already, and the door opened.
func TestRefusedCardIsRefusedAgain(t *testing.T) {
	s := newSite(t, 0)
	ended := s.sign(t, pass.Card, 8, today.AddDate(-1, 0, 0), today.AddDate(0, 0, -40))
	at := time.Now()
	for _, after := range []time.Duration{0, 100 * time.Millisecond, 200 * time.Millisecond, 2 * time.Second, 4 * time.Second, 5 * time.Second} {
		s.src.scans = append(s.src.scans, scan.Scan{Text: ended, At: at.Add(after)})
	}
	s.run(t)
	want := []string{"refused", "refused", "refused", "refused"} // one that lies still is answered once
	if got := s.lamps.answers(t); !slices.Equal(got, want) {
		t.Errorf("answers %v, want %v", got, want)
	}
	if headers, _ := s.records(t); len(headers) != len(want) {
		t.Errorf("%d records, want %d", len(headers), len(want))
	}
}

// The time is told for a while to whoever shows the same card at this gate, if it is
// certain.
func TestAgainTellsTheTime(t *testing.T) {
	for _, synced := range []bool{true, false} {
		s := newSite(t, 0)
		s.door.Config.Repeat = time.Minute
		if synced {
			s.door.Clock = when.NewClock(when.Boot{1}, func() time.Duration { return time.Hour }, func() time.Time { return today }, today.AddDate(0, 0, -30))
			s.door.Clock.Sample(time.Hour-time.Second, time.Hour, today)
		}
		_, src, face := s.live(t)
		card, at := s.sign(t, pass.Card, 7, today, today.AddDate(1, 0, 0)), time.Now()
		show := func(after time.Duration) kiosk.Answer {
			src <- scan.Scan{Text: card, At: at.Add(after)}
			return <-face
		}
		if got := show(0); got.State != words.Admitted || !got.At.IsZero() {
			t.Errorf("first %+v", got)
		}
		for after := 30 * time.Second; after < 11*time.Minute; after += 30 * time.Second { // it never leaves for long
			got := show(after)
			told := synced && after < 10*time.Minute
			if got.State != words.Again || told != !got.At.IsZero() || told && got.At.Sub(today).Abs() > 2*time.Second {
				t.Errorf("after %s, synced %t: %+v", after, synced, got)
			}
		}
	}
}

func TestFullOutboxIsNeverGreen(t *testing.T) {
	for policy, want := range map[wire.OnFault]panel.Signal{wire.AdmitUnrecorded: panel.Amber, wire.Refuse: panel.Fault} {
		s := newSite(t, outbox.MinLimit)
		s.fill(t)
		s.door.Config.OnFault = policy
		var owed []wire.Header
		s.door.Amber = func(h wire.Header) { owed = append(owed, h) }
		card := s.sign(t, pass.Card, 7, today, today.AddDate(1, 0, 0))
		for _, got := range s.serve(t, card, card) {
			if got != want.String() {
				t.Errorf("on_fault = %s: a full outbox shows %s, want %s", policy, got, want)
			}
		}
		// Whoever went in is to be recorded once there is room, without a name.
		went := wire.Header{Kind: wire.KindCheckin, Gate: "A1", Direction: wire.In, Pass: pass.Card, Verdict: wire.Unrecorded, Reason: wire.ReasonSpace, Presence: wire.Verified}
		went.At(s.door.Clock.Read())
		all := []wire.Header{went, went}
		if policy == wire.Refuse {
			all = nil
		}
		if diff := cmp.Diff(all, owed); diff != "" {
			t.Errorf("on_fault = %s: to be recorded later (-want +got):\n%s", policy, diff)
		}
	}
}

// Fault stood for ever once, behind every answer of a door that worked again.
func TestFaultEndsWhenRecordsAreTakenAgain(t *testing.T) {
	s := newSite(t, outbox.MinLimit)
	s.door.Config.OnFault = wire.Refuse
	var chain wire.Hash
	ctx := wire.NewContext(1, make([]byte, 32))
	var err error
	for err == nil {
		_, err = s.queue.Put(func(_ wire.Epoch, seq uint64) (wire.Record, wire.Context, error) {
			h := wire.Header{Seq: seq, Kind: wire.KindCheckin}
			return wire.NewRecord(h, wire.Sealed{Key: 1, Context: ctx.ID, Box: make([]byte, 7000)}), ctx, nil
		})
	}
	_, src, face := s.live(t)
	show := func(number uint32) words.State {
		src <- scan.Scan{Text: s.sign(t, pass.Card, number, today, today.AddDate(1, 0, 0)), At: time.Now()}
		return (<-face).State
	}
	if got := show(1); got != words.Fault {
		t.Fatalf("a full outbox is answered %s, want fault", got)
	}
	last := s.queue.Stats().Last
	epoch := s.queue.Stats().Epoch
	for from := uint64(1); from <= last; {
		run, err := s.queue.Peek(from, wire.MaxBatchRecords)
		if err != nil || len(run.Records) == 0 {
			t.Fatalf("Peek(%d): %d records, %v", from, len(run.Records), err)
		}
		for _, r := range run.Records {
			chain = chain.Next(r)
			from++
		}
	}
	if _, err := s.queue.Apply(&wire.Receipt{V: 1, Kiosk: kioskID, Epoch: epoch, Through: last, Hash: chain, Safe: last}); err != nil {
		t.Fatal(err)
	}
	if got := show(2); got != words.Admitted {
		t.Fatalf("with space again a card is answered %s, want admitted", got)
	}
	if got := s.door.Panel.Health().Signal; got != panel.Admitted {
		t.Errorf("the panel shows %s", got)
	}
	lines := s.lamps.signals(t)
	if n := len(lines); n < 2 || lines[n-2] != "ready" {
		t.Errorf("signals %v, want ready to stand behind the last", lines)
	}
}

// BenchmarkScanToLamp measures from the moment a text is complete to the lamp,
// the fsync of the test's disk included.
func BenchmarkScanToLamp(b *testing.B) {
	pub, card, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	sealKey, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	sealer, err := seal.New(1, sealKey.PublicKey().Bytes())
	if err != nil {
		b.Fatal(err)
	}
	clock := when.NewClock(when.Boot{1}, func() time.Duration { return time.Hour }, func() time.Time { return today }, today)
	q, err := outbox.Open(b.Context(), filepath.Join(b.TempDir(), "outbox.db"), outbox.Options{Now: clock.Read})
	if err != nil {
		b.Fatal(err)
	}
	defer q.Close()
	log := slog.New(slog.DiscardHandler)
	src := &queueOfScans{}
	lamps := &stopwatch{Panel: panel.NewRecorder(io.Discard, panel.Config{}, log)}
	at := time.Now()
	for n := range b.N {
		text, err := pass.Sign(pass.OwnCard{Kind: pass.Card, Key: 1, Number: uint32(n + 1), Issue: 1, First: pass.DayOf(today), Last: pass.DayOf(today.AddDate(1, 0, 0))}, card)
		if err != nil {
			b.Fatal(err)
		}
		src.scans = append(src.scans, scan.Scan{Text: text, At: at.Add(time.Duration(n) * time.Second)})
	}
	k, err := kiosk.New(kiosk.Door{
		ID: kioskID, Source: src, Queue: q, Sealer: sealer, Clock: clock, Panel: lamps,
		Keys: func() pass.Keys { return pass.Keys{1: {Public: pub}} },
		Config: wire.KioskConfig{
			Place: "Chợ Đông Ba", Gate: "A1", Direction: wire.In, OnFault: wire.Refuse,
			Accept: []pass.Kind{pass.Card}, Repeat: 4 * time.Second, Reset: 3 * time.Second,
		},
	}, log)
	if err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	k.Run(b.Context())
	b.StopTimer()
	if len(lamps.took) != b.N {
		b.Fatalf("%d green lights for %d cards", len(lamps.took), b.N)
	}
	slices.Sort(lamps.took)
	b.ReportMetric(float64(lamps.took[b.N/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(lamps.took[b.N*99/100].Microseconds())/1000, "p99-ms")
}

// A stopwatch is a panel that measures from the scan that is being judged, which
// the kiosk first answers with Reading, to green.
type stopwatch struct {
	panel.Panel
	began time.Time
	took  []time.Duration
}

func (s *stopwatch) Show(signal panel.Signal) {
	s.Panel.Show(signal)
	switch signal {
	case panel.Reading:
		s.began = time.Now()
	case panel.Admitted:
		s.took = append(s.took, time.Since(s.began))
	}
}
