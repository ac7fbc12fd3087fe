package place

import (
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/area"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
)

// Limits of what a place may say.
const (
	maxName     = 120
	maxStreet   = 200
	maxPerson   = 80
	maxCapacity = 1_000_000
	maxDoors    = 500
	maxPhones   = 3
)

// phoneFields are the fields of telephone numbers.
var phoneFields = []string{"place.phone1", "place.phone2", "place.phone3"}

// formOf returns a form that shows a place.
func formOf(p *qrgate.Place) *page.Form {
	v := url.Values{}
	set := func(field, value string) {
		if value != "" {
			v.Set(field, value)
		}
	}
	set("place.org", p.Organisation)
	set("place.name", p.Name)
	set("place.kind", p.Kind)
	set("place.sector", p.Sector)
	if u, ok := lookup(p.Area); ok {
		set("place.commune", u.Label())
		set("place.area", p.Area)
	}
	set("place.street", p.Street)
	setPoint(v, p.At)
	set("place.person", p.Person)
	for i, phone := range p.Phones {
		if i < maxPhones {
			set(phoneFields[i], page.ShowPhone(phone))
		}
	}
	set("place.email", p.Email)
	if p.Capacity > 0 {
		set("place.capacity", strconv.Itoa(p.Capacity))
	}
	if p.Doors > 0 {
		set("place.doors", strconv.Itoa(p.Doors))
	}
	for i, h := range p.Hours {
		if i == maxHours {
			break
		}
		for _, day := range week {
			if h.Days.Has(day) {
				v.Add(hoursField(i, "days"), strconv.Itoa(int(day)))
			}
		}
		if h.Open == h.Close {
			set(hoursField(i, "all"), "1")
			continue
		}
		set(hoursField(i, "from"), clock(h.Open))
		set(hoursField(i, "to"), clock(h.Close))
	}
	set("version", strconv.Itoa(p.Version))
	return page.NewForm(v)
}

func setPoint(v url.Values, at *qrgate.Point) {
	if at != nil {
		v.Set("place.lat", strconv.FormatFloat(at.Lat, 'f', 6, 64))
		v.Set("place.lon", strconv.FormatFloat(at.Lon, 'f', 6, 64))
	}
}

func hoursField(line int, what string) string { return fmt.Sprintf("place.hours%d.%s", line+1, what) }

// readPlace reads all of a place but its organisation. found are the communes to
// choose from if the one that was typed is not clear.
func readPlace(form *page.Form, p *qrgate.Place, now time.Time) (found []area.Match) {
	p.Name = form.Text("place.name", maxName, true)
	p.Kind = form.Choice("place.kind", true, values(kinds("vi"))...)
	p.Sector = readSector(form, p, now)
	found = readCommune(form, p)
	p.Street = form.Text("place.street", maxStreet, false)
	p.At = readPoint(form)
	p.Person = form.Text("place.person", maxPerson, true)
	p.Phones = nil
	for i, field := range phoneFields {
		if phone := form.Phone(field, i == 0); phone != "" && !slices.Contains(p.Phones, phone) {
			p.Phones = append(p.Phones, phone)
		}
	}
	p.Email = form.Email("place.email", false)
	p.Capacity = form.Int("place.capacity", 0, maxCapacity)
	p.Doors = max(1, form.Int("place.doors", 0, maxDoors))
	p.Hours = readHoursLines(form)
	return found
}

// readSector reads the sector. A kind brings the one that is usual for it, and a
// place whose sector has ended since goes to the one that came after.
func readSector(form *page.Form, p *qrgate.Place, now time.Time) string {
	if form.Values.Get("place.sector") == "" {
		k, err := qrgate.FindPlaceKind(p.Kind)
		if err != nil {
			return ""
		}
		s, err := qrgate.SectorNow(k.Sector, now)
		if err != nil {
			return ""
		}
		form.Values.Set("place.sector", s.ID)
	}
	if s, err := qrgate.SectorNow(form.Values.Get("place.sector"), now); err == nil {
		form.Values.Set("place.sector", s.ID)
	}
	var ids []string
	for _, s := range qrgate.SectorsOn(now) {
		ids = append(ids, s.ID)
	}
	return form.Choice("place.sector", true, ids...)
}

// readCommune finds out which commune was typed, or chosen from a list.
func readCommune(form *page.Form, p *qrgate.Place) (found []area.Match) {
	typed := form.Text("place.commune", maxName, true)
	if typed == "" {
		return nil
	}
	u, found := page.FindCommune(typed, form.Values.Get("place.area"), form.Values.Get("place.pick"))
	if u == nil {
		form.Values.Del("place.area")
		if found == nil {
			form.Fail("place.commune", "place.commune.none")
		} else {
			form.Fail("place.commune", "place.commune.several")
		}
		return found
	}
	p.Area, p.AreaNow = u.ID.String(), area.CurrentOf(u.ID)[0].ID.String()
	form.Values.Set("place.area", p.Area)
	form.Values.Set("place.commune", u.Label())
	form.Values.Del("place.pick")
	return nil
}

// readPoint reads where on earth the place is; nobody has to know.
func readPoint(form *page.Form) *qrgate.Point {
	lat, okLat := readDegrees(form, "place.lat", 90)
	lon, okLon := readDegrees(form, "place.lon", 180)
	switch {
	case okLat && okLon:
		return &qrgate.Point{Lat: lat, Lon: lon}
	case okLat && form.Values.Get("place.lon") == "":
		form.Fail("place.lon", "wrong.empty")
	case okLon && form.Values.Get("place.lat") == "":
		form.Fail("place.lat", "wrong.empty")
	}
	return nil
}

func readDegrees(form *page.Form, field string, most float64) (float64, bool) {
	text := form.Text(field, 20, false)
	if text == "" {
		return 0, false
	}
	d, ok := degrees(text, most)
	if !ok {
		form.Fail(field, field+".wrong")
	}
	return d, ok
}

// degrees reads a decimal number of degrees, with a point or a comma.
func degrees(text string, most float64) (float64, bool) {
	d, err := strconv.ParseFloat(strings.Replace(strings.TrimSpace(text), ",", ".", 1), 64)
	if err != nil || math.IsNaN(d) || math.Abs(d) > most {
		return 0, false
	}
	return d, true
}

func readHoursLines(form *page.Form) (all []qrgate.Hours) {
	for i := range maxHours {
		h := qrgate.Hours{}
		for _, value := range form.Values[hoursField(i, "days")] {
			day, err := strconv.ParseUint(value, 10, 3)
			if err != nil || day > 6 {
				form.Fail(hoursField(i, "days"), "wrong.choice")
				continue
			}
			h.Days |= 1 << day
		}
		from, to := form.Text(hoursField(i, "from"), 8, false), form.Text(hoursField(i, "to"), 8, false)
		all24 := form.Values.Get(hoursField(i, "all")) != ""
		if h.Days == 0 && from == "" && to == "" && !all24 {
			continue
		}
		if h.Days == 0 {
			h.Days = qrgate.EveryDay
		}
		if !all24 {
			var okFrom, okTo bool
			h.Open, okFrom = readClock(from)
			h.Close, okTo = readClock(to)
			if !okFrom || !okTo {
				form.Fail(hoursField(i, "from"), "place.hours.wrong")
				continue
			}
		}
		all = append(all, h)
	}
	return all
}

// A warning is what may be a mistake and may be right.
type warning struct {
	Key  string
	Args []any
}
