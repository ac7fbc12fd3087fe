package outbox_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/qrgate/qrgate/sync/outbox"
	"github.com/qrgate/qrgate/sync/wire"
)

// The tests of power cuts and kills run a kiosk in a child process, which is this
// test binary again. It says on its standard output what it is about to do and
// what is done, and goes on when it gets a line in reply, so that the parent
// knows for certain what was acknowledged when the child died.
//
//	held ID...   after opening: the check-ins in the outbox
//	put ID       a check-in is about to be put
//	ack ID       it was put
//	safe ID...   these may be forgotten from now on
//	sent ID...   these too, if the disk is full
//	broken WHY   a write failed; the child exits

const childEnv = "QRGATE_OUTBOX_CHILD"

func TestMain(m *testing.M) {
	if args := os.Getenv(childEnv); args != "" {
		os.Exit(runChild(strings.Fields(args)))
	}
	os.Exit(m.Run())
}

// startChild starts a kiosk on path. Its check-ins are numbered from first.
func startChild(path string, seed, first uint64, noSync bool) (*exec.Cmd, *conversation, error) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d %d %t", childEnv, path, seed, first, noSync), "GOMAXPROCS=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20) // a long list of what is held is not a death
	return cmd, &conversation{lines, in}, cmd.Start()
}

type conversation struct {
	in  *bufio.Scanner
	out io.Writer
}

// say sends one line and waits for one.
func (c *conversation) say(format string, args ...any) {
	fmt.Fprintf(c.out, format+"\n", args...)
	if !c.in.Scan() {
		os.Exit(0) // the parent is gone
	}
}

func runChild(args []string) int {
	path := args[0]
	seed, _ := strconv.ParseUint(args[1], 10, 64)
	next, _ := strconv.ParseUint(args[2], 10, 64)
	parent := &conversation{bufio.NewScanner(os.Stdin), os.Stdout}
	err := simulate(parent, path, mathrand.New(mathrand.NewPCG(seed, 3)), next, args[3] == "true")
	parent.say("broken %v", err)
	if errors.Is(err, outbox.ErrBroken) {
		return 3
	}
	return 4
}

// simulate does at random what a kiosk does, until an error.
func simulate(parent *conversation, path string, r *mathrand.Rand, next uint64, noSync bool) error {
	identity := "a"
	for {
		q, err := outbox.Open(context.Background(), path, outbox.Options{Identity: identity, NoSync: noSync, Now: newClock().now})
		if err != nil {
			return err
		}
		if s := q.Stats(); s.By == wire.OpenedSalvage || s.Lost > 0 {
			return fmt.Errorf("outbox was damaged: %+v", s)
		}
		ids, err := listed(q, q.Stats().Last)
		if err != nil {
			return err
		}
		parent.say("held%s", ids)
		for range 5 + r.IntN(60) {
			switch r.IntN(40) {
			case 0:
				err = q.NewEpoch(wire.OpenedFork)
			case 1, 2, 3, 4:
				err = receive(parent, q, r)
			case 5, 6:
				err = q.Flush()
			default:
				parent.say("put %d", next)
				if _, err = q.Put(seen(next, []int{0, 24, 3000, 7000, 7000}[r.IntN(5)])); err == nil {
					parent.say("ack %d", next)
				}
				next++
			}
			if err != nil {
				return err
			}
		}
		if err := q.Close(); err != nil {
			return err
		}
		identity = []string{"a", "a", "a", "b"}[r.IntN(4)]
	}
}

// receive applies a receipt as a server would send it.
func receive(parent *conversation, q *outbox.Queue, r *mathrand.Rand) error {
	s := q.Stats()
	through := s.First - 1 + r.Uint64N(s.Last-s.First+2)
	hash := s.Hash
	if through < s.Last {
		run, err := q.Peek(through+1, 1)
		if err != nil {
			return err
		}
		hash = run.Prev
	}
	safe := r.Uint64N(through + 1)
	if r.IntN(4) == 0 { // all is well, and the file mostly empty: the next start compacts it
		through, hash, safe = s.Last, s.Hash, s.Last
	}
	ids, err := listed(q, safe)
	if err != nil {
		return err
	}
	parent.say("safe%s", ids)
	if ids, err = listed(q, through); err != nil {
		return err
	}
	parent.say("sent%s", ids)
	_, err = q.Apply(&wire.Receipt{Epoch: s.Epoch, Generation: 1, Through: through, Hash: hash, Safe: safe})
	return err
}

// listed returns the check-ins up to number to.
func listed(q *outbox.Queue, to uint64) (string, error) {
	var b strings.Builder
	for from := q.Stats().First; from <= to; {
		run, err := q.Peek(from, wire.MaxBatchRecords)
		if err != nil {
			return "", err
		}
		for i, raw := range run.Records {
			rec, _, err := wire.DecodeRecord(raw)
			if err != nil {
				return "", err
			}
			if len(rec.Box) > 0 && run.First+uint64(i) <= to {
				fmt.Fprintf(&b, " %d", idOf(rec))
			}
		}
		from = run.End() + 1
	}
	return b.String(), nil
}

// history is what a parent knows of a child's check-ins.
type history struct {
	acked map[uint64]bool // must be held, unless they may be forgotten
	tried map[uint64]bool // put without an answer: may be held
	safe  map[uint64]bool // may be forgotten
	sent  map[uint64]bool // may be forgotten on a full disk
	full  bool            // the disk was full
	next  uint64          // number of a check-in that no child has used
	acks  int
}

func newHistory() *history {
	return &history{acked: map[uint64]bool{}, tried: map[uint64]bool{}, safe: map[uint64]bool{}, sent: map[uint64]bool{}, next: 1}
}

// take learns from one line of a child. The error is a promise that was broken.
func (h *history) take(line string) error {
	words := strings.Fields(line)
	var ids []uint64
	if words[0] != "broken" {
		for _, w := range words[1:] {
			id, err := strconv.ParseUint(w, 10, 64)
			if err != nil {
				return fmt.Errorf("child says %q", line)
			}
			ids = append(ids, id)
		}
	}
	switch words[0] {
	case "put":
		h.tried[ids[0]] = true
		h.next = ids[0] + 1
	case "ack":
		delete(h.tried, ids[0])
		h.acked[ids[0]] = true
		h.acks++
	case "safe":
		for _, id := range ids {
			h.safe[id] = true
		}
	case "sent":
		for _, id := range ids {
			h.sent[id] = true
		}
	case "held":
		return h.compare(ids)
	default:
		return errors.New(line)
	}
	return nil
}

// compare judges what is held after a start.
func (h *history) compare(ids []uint64) error {
	held := map[uint64]bool{}
	for _, id := range ids {
		if held[id] {
			return fmt.Errorf("check-in %d is held twice", id)
		}
		held[id] = true
		if !h.acked[id] && !h.tried[id] {
			return fmt.Errorf("check-in %d was never put, or was gone before", id)
		}
		h.acked[id] = true
	}
	var lost []uint64
	for id := range h.acked {
		if !held[id] {
			if !h.safe[id] && !(h.full && h.sent[id]) {
				lost = append(lost, id)
			}
			delete(h.acked, id)
		}
	}
	clear(h.tried)
	if len(lost) > 0 {
		slices.Sort(lost)
		return fmt.Errorf("check-ins %v were acknowledged and are lost", lost)
	}
	return nil
}

// TestKilledAtAnyMoment kills a kiosk with SIGKILL while it writes and looks at
// what the next one finds. Power cuts are in powercut_test.go.
func TestKilledAtAnyMoment(t *testing.T) {
	random := newRand(t)
	path := t.TempDir() + "/outbox.db"
	h := newHistory()
	for round := range 40 {
		cmd, child, err := startChild(path, random.Uint64(), h.next, false)
		if err != nil {
			t.Fatal(err)
		}
		var broken error
		for steps := random.IntN(60); child.in.Scan(); steps-- {
			if broken = h.take(child.in.Text()); broken != nil {
				break
			}
			fmt.Fprintln(child.out)
			if steps == 0 {
				// The moment within the step is the scheduler's choice and ours.
				time.AfterFunc(time.Duration(random.IntN(4000))*time.Microsecond, func() { cmd.Process.Kill() })
			}
		}
		cmd.Process.Kill()
		cmd.Wait()
		if broken != nil {
			t.Fatalf("round %d: %v", round, broken)
		}
	}
	t.Logf("%d check-ins acknowledged", h.acks)
}
