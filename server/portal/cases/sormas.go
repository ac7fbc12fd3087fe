package cases

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"strings"
	"time"
)

// What SORMAS's interface calls things. A file holds them as its import takes
// them, one list for each; fields without a value are left out.
type (
	sormasRef struct {
		UUID string `json:"uuid"`
	}
	sormasLocation struct {
		UUID      string   `json:"uuid"`
		Street    string   `json:"street,omitempty"`
		City      string   `json:"city,omitempty"`
		Details   string   `json:"details,omitempty"`
		Latitude  *float64 `json:"latitude,omitempty"`
		Longitude *float64 `json:"longitude,omitempty"`
	}
	sormasPhone struct {
		UUID    string    `json:"uuid"`
		Person  sormasRef `json:"person"`
		Primary bool      `json:"primaryContact"`
		Kind    string    `json:"personContactDetailType"`
		Value   string    `json:"contactInformation"`
		Third   bool      `json:"thirdParty"`
		Role    string    `json:"thirdPartyRole,omitempty"`
		Name    string    `json:"thirdPartyName,omitempty"`
	}
	sormasPerson struct {
		UUID    string          `json:"uuid"`
		First   string          `json:"firstName"`
		Last    string          `json:"lastName"`
		Sex     string          `json:"sex"`
		Born    int             `json:"birthdateYYYY,omitempty"`
		Health  string          `json:"nationalHealthId,omitempty"`
		Address *sormasLocation `json:"address,omitempty"`
		Phones  []sormasPhone   `json:"personContactDetails,omitempty"`
	}
	sormasCase struct {
		UUID     string    `json:"uuid"`
		External string    `json:"externalID"`
		Disease  string    `json:"disease"`
		Details  string    `json:"diseaseDetails,omitempty"`
		Class    string    `json:"caseClassification"`
		Origin   string    `json:"caseOrigin"`
		Reported time.Time `json:"reportDate"`
		Person   sormasRef `json:"person"`
	}
	sormasEvent struct {
		UUID     string          `json:"uuid"`
		External string          `json:"externalId"`
		Status   string          `json:"eventStatus"`
		Title    string          `json:"eventTitle"`
		Text     string          `json:"eventDesc"`
		Disease  string          `json:"disease"`
		Details  string          `json:"diseaseDetails,omitempty"`
		Start    time.Time       `json:"startDate"`
		End      time.Time       `json:"endDate"`
		Reported time.Time       `json:"reportDateTime"`
		Location *sormasLocation `json:"eventLocation,omitempty"`
	}
	sormasContact struct {
		UUID     string    `json:"uuid"`
		Case     sormasRef `json:"caze"`
		Person   sormasRef `json:"person"`
		Disease  string    `json:"disease"`
		Details  string    `json:"diseaseDetails,omitempty"`
		Several  bool      `json:"multiDayContact"`
		First    time.Time `json:"firstContactDate"`
		Last     time.Time `json:"lastContactDate"`
		Reported time.Time `json:"reportDateTime"`
		Class    string    `json:"contactClassification"`
		Status   string    `json:"contactStatus"`
		Text     string    `json:"description,omitempty"`
	}
	sormasParticipant struct {
		UUID   string       `json:"uuid"`
		Event  sormasRef    `json:"event"`
		Person sormasPerson `json:"person"`
		Text   string       `json:"involvementDescription,omitempty"`
		Case   *sormasRef   `json:"resultingCase,omitempty"` // of who was there and is the case
	}
	sormasFile struct {
		Persons      []sormasPerson      `json:"persons"`
		Cases        []sormasCase        `json:"cases"`
		Events       []sormasEvent       `json:"events"`
		Contacts     []sormasContact     `json:"contacts"`
		Participants []sormasParticipant `json:"eventParticipants"`
	}
)

// sormasID returns the id under which SORMAS knows what these words name: the same
// words are the same id, so that a file that comes again makes nothing twice. It
// says nothing of a person: the words are references of one case.
func sormasID(words ...string) string {
	sum := sha256.Sum256([]byte("qrgate\x00" + strings.Join(words, "\x00")))
	s := base32.StdEncoding.EncodeToString(sum[:17])[:26]
	return s[:6] + "-" + s[6:12] + "-" + s[12:18] + "-" + s[18:26]
}

// sormasDiseases are those that SORMAS has a name of its own for.
var sormasDiseases = map[string]string{
	"measles": "MEASLES", "covid": "CORONAVIRUS", "covid19": "CORONAVIRUS", "covid-19": "CORONAVIRUS", "influenza": "NEW_INFLUENZA", "flu": "NEW_INFLUENZA", "dengue": "DENGUE",
	"cholera": "CHOLERA", "meningitis": "CSM", "meningococcal": "CSM", "pertussis": "PERTUSSIS", "diphtheria": "DIPHTERIA",
	"mpox": "MONKEYPOX", "tuberculosis": "TUBERCULOSIS", "rubella": "RUBELLA", "varicella": "VARICELLA", "chickenpox": "VARICELLA", "avian_influenza": "H5N1",
	"polio": "POLIO", "plague": "PLAGUE", "ebola": "EVD",
}

// sormasDisease returns a disease as SORMAS has it, and in words where it has none.
func sormasDisease(id, name string) (disease, details string) {
	if d, ok := sormasDiseases[id]; ok {
		return d, ""
	}
	return "OTHER", name
}

func sormasSex(s string) string {
	switch s {
	case "m":
		return "MALE"
	case "f":
		return "FEMALE"
	case "x":
		return "OTHER"
	}
	return "UNKNOWN"
}

// sormasPersonOf writes a person. Vietnamese write the family name first.
func sormasPersonOf(room, code string, k *known) sormasPerson {
	last, first, more := strings.Cut(k.Name, " ")
	switch {
	case last == "": // it takes no person without a name
		last, first = "?", shortCode(code)
	case !more:
		last, first = "?", last
	}
	p := sormasPerson{UUID: sormasID(room, "person", code), First: first, Last: last, Sex: sormasSex(k.Sex), Born: k.Born, Health: k.Insurance}
	switch at := sormasID(room, "address", code); {
	case k.Street != "" || k.Commune != "":
		p.Address = &sormasLocation{UUID: at, Street: k.Street, City: k.Commune}
	case k.Address != "": // as a pass says it
		p.Address = &sormasLocation{UUID: at, Street: k.Address}
	}
	ref := sormasRef{p.UUID}
	if k.Phone != "" {
		phone := sormasPhone{UUID: sormasID(room, "phone", code), Person: ref, Primary: true, Kind: "PHONE", Value: k.Phone, Third: k.Relative}
		p.Phones = append(p.Phones, phone)
	}
	if k.GuardianPhone != "" {
		p.Phones = append(p.Phones, sormasPhone{UUID: sormasID(room, "guardian", code), Person: ref, Primary: k.Phone == "", Kind: "PHONE", Value: k.GuardianPhone, Third: true, Role: "guardian", Name: k.Guardian})
	}
	if k.Email != "" {
		p.Phones = append(p.Phones, sormasPhone{UUID: sormasID(room, "email", code), Person: ref, Kind: "EMAIL", Value: k.Email})
	}
	return p
}

// newSORMAS returns a file whose lists are lists, if empty ones.
func newSORMAS() *sormasFile {
	return &sormasFile{[]sormasPerson{}, []sormasCase{}, []sormasEvent{}, []sormasContact{}, []sormasParticipant{}}
}

func (f *sormasFile) bytes() ([]byte, error) {
	return json.MarshalIndent(f, "", " ")
}
