package start

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/qrgate/qrgate/device/durable"
	"github.com/qrgate/qrgate/sync/guide"
	"github.com/qrgate/qrgate/sync/words"
)

// Read returns the walk that path holds, and whether it is to be gone on with. That of a
// kiosk that is new begins; one that is enrolled has none unless it was begun here. A
// file that is damaged is as good as none: a door opens rather than ask.
func Read(path string, fresh bool) (w Walk, due bool) {
	b, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(b, &w)
	}
	known := err == nil && w.Step >= guide.Language && w.Step <= guide.Ready && (w.Lang == words.Vietnamese || w.Lang == words.English)
	switch {
	case fresh && (!known || w.Over || w.Step > guide.Enrol):
		return Begin(), true
	case !known || w.Over:
		return Walk{}, false
	case !fresh && !w.Again && w.Step <= guide.Enrol: // the power went when it had just been enrolled
		w.Step = guide.Scanner
	}
	return w, true
}

// Write keeps a walk at path. When it returns nil the walk survives a power cut.
func Write(path string, w Walk) error {
	b, err := json.Marshal(w)
	if err != nil {
		return fmt.Errorf("start: %w", err)
	}
	if err := durable.Replace(path, b); err != nil {
		return fmt.Errorf("start: %w", err)
	}
	return nil
}

// Left returns what a walk that is over has found of the lane, until Done.
func Left(path string) Lane {
	b, err := os.ReadFile(path)
	var w Walk
	if err != nil || json.Unmarshal(b, &w) != nil || !w.Over {
		return Unasked
	}
	return w.Lane
}

// Done says that the lane is as the walk at path has found it.
func Done(path string) error {
	return Write(path, Walk{Step: guide.Ready, Lang: words.Vietnamese, Over: true})
}
