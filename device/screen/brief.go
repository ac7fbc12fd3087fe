package screen

import (
	"encoding/json"
	"net/http"

	"github.com/qrgate/qrgate/sync/words"
)

// A Brief is what another program of the machine is told of the door, at /brief beside the
// page, for where no page is seen.
type Brief struct {
	State words.State `json:"state,omitempty"` // that stands; "" while the first start is not over
	Help  string      `json:"help,omitempty"`  // number of who helps
}

// Write answers a request.
func (b Brief) Write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(b)
}

func (s *Screen) brief() Brief {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Brief{State: s.standing.State, Help: s.o.HelpLine}
}
