package trace

const (
	minute = 60_000 // milliseconds
	hour   = 60 * minute
)

// MaxDays is how far back a profile may reach: what is kept by default.
const MaxDays = 21

// Suspected is the id of the profile for a disease that nobody has named yet.
const Suspected = "suspected"

// profiles are starting points that an officer may narrow or widen. Days covers
// the incubation period when the question is where a case was infected, and the
// infectious period when it is whom the case has infected; the larger of both.
var profiles = []Profile{
	// As COVID-19 and shorter meetings too, for nothing is known yet. A suspicion
	// is the weakest ground for looking at persons: a second officer approves.
	{ID: Suspected, Days: 14, Minimum: 5 * minute, Approve: true},
	// 15 minutes or more within a metre, which no door sees; infectious from 2 days
	// before onset, incubation up to 14 (WHO, Contact tracing in the context of
	// COVID-19, interim guidance of 2021-02-01).
	{ID: "covid19", Days: 14, Minimum: 15 * minute, After: 0},
	// Any time in the same room and up to 2 hours after the case left it;
	// incubation 7-21 days to the rash, infectious from 4 days before to 4 after
	// (CDC, Manual for the Surveillance of Vaccine-Preventable Diseases, ch. 7).
	{ID: "measles", Days: 21, Minimum: 0, After: 2 * hour},
	// Infectious from 1 day before onset to 7 after, incubation 1-4 days (CDC,
	// Key Facts About Influenza). No duration is agreed on; 15 minutes as for
	// other droplets.
	{ID: "influenza", Days: 8, Minimum: 15 * minute, After: 0},
	// Infection takes hours together: 8 and more in one closed room is what WHO
	// asks of flights (Tuberculosis and air travel, 3rd edition, 2008). Contacts
	// reach back three months, check-ins do not.
	{ID: "tuberculosis", Days: MaxDays, Minimum: 8 * hour, After: 0, Approve: true},
	// Water and food, not the air: who was at the same place is asked, however
	// short. Incubation up to 5 days, shedding up to 10 (WHO, Cholera fact sheet).
	{ID: "cholera", Days: 10, Minimum: 0, After: 0},
}

// Profiles returns the profiles of the diseases that are known, the one of a
// suspicion first.
func Profiles() []Profile { return append([]Profile(nil), profiles...) }

// FindProfile returns the profile with this id.
func FindProfile(id string) (Profile, bool) {
	for _, p := range profiles {
		if p.ID == id {
			return p, true
		}
	}
	return Profile{}, false
}
