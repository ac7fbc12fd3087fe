package releases

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"time"

	"github.com/qrgate/qrgate/sync/release"
	"github.com/qrgate/qrgate/sync/wire"
)

// A State is how a roll-out goes.
type State string

// The states.
const (
	Running State = "running"
	Paused  State = "paused"  // kiosks that have it keep it, and nobody else is told
	Stopped State = "stopped" // for good
	Done    State = "done"    // every kiosk that could has it; later ones get it too
)

// Why a roll-out stopped.
const (
	ByPerson = "person"
	ByErrors = "errors"
	ByNewer  = "newer" // one of a newer version began
)

// A Rollout is one release on its way to the kiosks.
type Rollout struct {
	No      int64
	Version string
	State   State
	Reason  string        // of Stopped
	Stages  []int         // shares of the kiosks in per cent, rising
	Stage   int           // index into them
	Hold    time.Duration // that a stage lasts at least
	Errors  int           // per cent of those that tried it that stop it
	AtOnce  bool          // kiosks do not wait for a quiet hour
	Pilots  []string      // kiosks that are in every stage; a first stage of 0 % is theirs alone
	Group   int64         // of kiosks that it is for, beside the pilots; 0 is all
	MadeBy  string
	Begun   time.Time
	Moved   time.Time // when the stage began
	Changed time.Time
	Edition int64
}

// Share returns the per cent of the kiosks that the stage is for.
func (r Rollout) Share() int {
	if r.Stage < 0 || r.Stage >= len(r.Stages) {
		return 0
	}
	return r.Stages[r.Stage]
}

// Last reports whether the stage is the last.
func (r Rollout) Last() bool { return r.Stage >= len(r.Stages)-1 }

// For reports whether a kiosk belongs to any stage.
func (r Rollout) For(k Kiosk) bool {
	return r.Group == 0 || r.Group == k.Group || slices.Contains(r.Pilots, k.ID)
}

// Holds reports whether a kiosk belongs to the stage. Which kiosks are the first, but
// for the pilots, differs from version to version, and a kiosk of one stage is in each
// later one.
func (r Rollout) Holds(k Kiosk) bool {
	return r.For(k) && (place(r.Version, k.ID) < r.Share() || slices.Contains(r.Pilots, k.ID))
}

// place is where a kiosk stands in a version's row, 0 to 99.
func place(version, kiosk string) int {
	sum := sha256.Sum256([]byte(version + " " + kiosk))
	return int(binary.BigEndian.Uint64(sum[:]) % 100)
}

// tells reports whether kiosks are told of it.
func (r Rollout) tells() bool { return r.State == Running || r.State == Done }

// A Kiosk is what is known of one kiosk's version.
type Kiosk struct {
	ID       string
	Place    string
	Group    int64 // of kiosks; 0 is none
	Running  string
	Launcher string // "" takes no updates
	Arch     string
	Stage    wire.UpdateStage
	Version  string // that the stage is about
	Reason   release.Reason
	Loaded   int
	Since    time.Time // when any of this but Loaded changed
	Wanted   string
	Asked    time.Time
	Contact  time.Time // last beat
}

// Wants returns the newest version that a kiosk is to run, of those that are rolled
// out and listed for its machine; "" is the one that it runs.
func Wants(rollouts []Rollout, listed []Release, k Kiosk) (version string, atOnce bool) {
	for _, r := range rollouts {
		if !r.tells() || !r.Holds(k) || release.Compare(r.Version, k.Running) <= 0 || release.Compare(r.Version, version) <= 0 {
			continue
		}
		if slices.ContainsFunc(listed, func(l Release) bool { return l.Version == r.Version && slices.Contains(l.Arches, k.Arch) }) {
			version, atOnce = r.Version, r.AtOnce
		}
	}
	return version, atOnce
}

// Where a kiosk is in a roll-out.
type Where int

// The places, from the first to the last.
const (
	Unable   Where = iota // without a launcher, or no such build: it is not counted
	Outside               // of no stage: it is not counted
	Later                 // of a later stage
	Told                  // or about to be
	Loading               //
	Loaded                // waits for its quiet hour
	Trying                //
	Has                   // runs it, or something newer
	Returned              // tried it, and has returned
	Refused               // will not try it
	Silent                // has it, and was never heard of again soon after
)

// silentAfter is how long a kiosk that has just started a version may say nothing,
// and soonAfter what "just" is: one that falls silent later was switched off.
const (
	silentAfter = 15 * time.Minute
	soonAfter   = 30 * time.Minute
)

// Where says how far a kiosk is.
func (r Rollout) Where(k Kiosk, arches []string, now time.Time) Where {
	runs := release.Compare(k.Running, r.Version) >= 0
	switch {
	case !r.For(k):
		return Outside
	case k.Stage == wire.UpdateReturned && k.Version == r.Version:
		return Returned
	case (runs && k.Running == r.Version || k.Stage == wire.UpdateTrying && k.Version == r.Version) &&
		now.Sub(k.Contact) > silentAfter && k.Contact.Sub(k.Since) < soonAfter && !k.Since.Before(r.Begun):
		return Silent
	case k.Stage == wire.UpdateTrying && k.Version == r.Version:
		return Trying
	case runs:
		return Has
	case k.Launcher == "" || !slices.Contains(arches, k.Arch):
		return Unable
	case !r.Holds(k):
		return Later
	case k.Version != r.Version:
		return Told
	case k.Stage == wire.UpdateRefused:
		return Refused
	case k.Stage == wire.UpdateLoaded:
		return Loaded
	case k.Stage == wire.UpdateLoading:
		return Loading
	}
	return Told
}

// Figures are how many kiosks are where.
type Figures [Silent + 1]int

// Failed is how many count against the version.
func (f Figures) Failed() int { return f[Returned] + f[Refused] + f[Silent] }

// Of the stage is how many it is for.
func (f Figures) Of() int {
	n := 0
	for w := Told; w <= Silent; w++ {
		n += f[w]
	}
	return n
}

// Count returns how many kiosks are where.
func (r Rollout) Count(kiosks []Kiosk, arches []string, now time.Time) (f Figures) {
	for _, k := range kiosks {
		f[r.Where(k, arches, now)]++
	}
	return f
}

// enough is the per cent of a stage's kiosks that must have the version before the
// next stage begins: some are always switched off.
const enough = 90

// Step returns the roll-out as it should go on, which is r if nothing is to be done.
func (r Rollout) Step(f Figures, now time.Time) Rollout {
	if r.State != Running {
		return r
	}
	tried, failed := f[Has]+f.Failed(), f.Failed()
	if failed > 0 && failed*100 >= r.Errors*tried {
		r.State, r.Reason, r.Changed = Stopped, ByErrors, now
		return r
	}
	of := f.Of()
	if now.Sub(r.Moved) < r.Hold || f[Has]*100 < enough*(of-failed) || of > 0 && f[Has] == 0 {
		return r
	}
	switch {
	case !r.Last():
		r.Stage++
		r.Moved, r.Changed = now, now
	case of > 0 && f[Has]+failed == of:
		r.State, r.Changed = Done, now
	}
	return r
}
