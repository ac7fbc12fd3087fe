package rights

import (
	"net/http"
	"time"

	"github.com/qrgate/qrgate/server/portal/page"
)

// An Entry is a kind of data that is kept, and in which tables. What it is, why, on
// which ground, how long and who sees it are texts: inventory.ID.what and so on.
type Entry struct {
	ID     string
	Tables []string
}

// Inventory returns what is kept. Every table of the database is in one entry, so
// that nobody adds data and leaves them out here.
func Inventory() []Entry {
	return []Entry{
		{"checkins", []string{"checkins", "subjects", "arrivals"}},
		{"people", []string{"people", "identities", "details", "merges"}},
		{"holders", []string{"holders", "cards", "card_batches", "sign_orders", "sign_parts", "signed_passes"}},
		{"guests", []string{"guests"}},
		{"visits", []string{"visits"}},
		{"letters", []string{"dead_letters"}},
		{"cases", []string{"cases", "case_glasses", "case_runs", "case_calls", "case_notices"}},
		{"accounts", []string{"accounts", "links", "signins", "sessions", "secrets", "grants", "invitations", "uploads", "tokens", "fleet_subscriptions"}},
		{"places", []string{"organisations", "places", "introductions", "pictures", "posters", "listed"}},
		{"difficulties", []string{"difficulties", "inspections"}},
		{"requests", []string{"rights_requests", "erasures", "restraints"}},
		{"audit", []string{"audit", "audit_seals"}},
		{"outside", nil}, // of the database: phones, kiosks, backups, logs
	}
}

// Nameless returns the tables that hold nothing of people.
func Nameless() []string {
	return []string{
		"enrolments", "kiosk_identities",
		"meta", "kiosks", "presences", "epochs", "boots", "anchors", "redates", "gates", "tallies", "backups", "templates", "leases",
		"certificates", "drops", "copies_gone", "forgotten", "targets", "reports", "report_versions", "lists", "events", "event_categories",
		"fleet_samples", "fleet_presences", "fleet_alarms", "fleet_mutes", "fleet_posts",
		"releases", "rollouts", "release_states",
		"config_layers", "config_groups", "config_members", "config_documents", "config_state",
		"association_members",                                              // names of organisations
		"movements", "crowds", "movement_turns", "room_counts", "passages", // cells of ten and more
		"orders", "sign_raises", "order_parts", "command_cards", "order_uses",
	}
}

// risks are what could go wrong, and what is done about it: keys of texts.
var risks = []string{"database", "server", "kiosk", "phone", "officer", "clerk", "backup", "wrong", "forgotten", "reports"}

// impact shows the file of the impact assessment, to be printed and signed.
func (p *Pages) impact(w http.ResponseWriter, r *http.Request, v *page.View) error {
	state, err := p.Keeper.State(r.Context(), 1)
	if err != nil {
		return err
	}
	return v.Render(w, "rights-impact", struct {
		Tabs      []tab
		Inventory []Entry
		Columns   []string
		Risks     []string
		Days      int
		Now       time.Time
	}{p.tabs(v), Inventory(), []string{"what", "why", "ground", "where", "long", "who"}, risks, state.Days, p.f.Now()})
}
