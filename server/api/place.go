package api

import (
	"net/http"
	"strings"

	"github.com/qrgate/qrgate/server/area"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/sync/pass"
)

// A place is what anybody who stands before its poster may know. Who is in charge
// of it is not in it.
type place struct {
	Number   uint32    `json:"number"`
	Code     string    `json:"code"`
	Name     string    `json:"name"`
	Kind     string    `json:"kind"`
	Sector   string    `json:"sector"`
	Address  string    `json:"address"`
	Commune  *commune  `json:"commune,omitempty"`
	Position *position `json:"position,omitempty"`
}

type commune struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

type position struct {
	Latitude  float64 `json:"latitude"`
	Longitude float64 `json:"longitude"`
}

func placeOf(p *qrgate.Place, version uint8) place {
	out := place{Number: p.No, Code: pass.PosterCode(p.No, max(version, 1)), Name: p.Name, Kind: p.Kind, Sector: p.Sector}
	var parts []string
	if p.Street != "" {
		parts = append(parts, p.Street)
	}
	if id, err := area.ParseID(p.AreaNow); err == nil {
		if u, ok := area.Lookup(id); ok {
			out.Commune = &commune{id.String(), u.FullName}
			parts = append(parts, u.FullName)
		}
	}
	out.Address = strings.Join(parts, ", ")
	if p.At != nil {
		out.Position = &position{p.At.Lat, p.At.Lon}
	}
	return out
}

func (h *handler) place(w http.ResponseWriter, r *http.Request, _ *register.Token) error {
	at, version, err := h.at(r.Context(), r.PathValue("code"), 0)
	if err != nil {
		return err
	}
	if !at.Deleted.IsZero() {
		return closed
	}
	write(w, "application/json", http.StatusOK, placeOf(at, version))
	return nil
}
