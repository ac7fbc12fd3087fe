package retention

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/portal/text"
	"github.com/qrgate/qrgate/server/print"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/report"
	"github.com/qrgate/qrgate/server/store/register"
)

// PDF returns the dossier as a document to hand over: who asks may have no screen.
func (d *Dossier) PDF(lang text.Lang) ([]byte, error) {
	say := dossierWords{lang}
	doc := &report.Document{
		Lang: string(lang), Nation: say.t("progress.doc.nation"), Motto: say.t("progress.doc.motto"), Agency: d.Controller,
		Kind: strings.ToUpper(say.t("dossier.head")), Subject: d.Details.Name, Foot: say.t("dossier.made", "at", say.clock(d.Made)), Made: d.Made,
	}
	section := func(key string, parts ...report.Part) {
		doc.Parts = append(doc.Parts, report.Part{Heading: say.t(key), Level: 1})
		doc.Parts = append(doc.Parts, parts...)
	}
	if d.Restraint != "" {
		doc.Parts = append(doc.Parts, report.Part{Text: say.t("dossier.restraint." + d.Restraint)})
	}
	section("dossier.who", say.who(d))
	if len(d.Identities) > 0 {
		section("dossier.identities", report.Part{Text: say.t("dossier.identities.why", "n", len(d.Identities))})
		for i := range d.Identities {
			one := &d.Identities[i]
			doc.Parts = append(doc.Parts, report.Part{
				Text:  strconv.Itoa(i+1) + ". " + say.t("identity.what."+string(one.What)) + ", " + say.t("identity.why."+string(one.Why)),
				Table: say.details(&one.Details, one.Numbers),
			})
		}
	}
	if len(d.Cards) > 0 {
		section("dossier.cards", say.cards(d))
	}
	if len(d.Invitations) > 0 {
		section("dossier.invitations", say.invitations(d))
	}
	section("dossier.checkins", say.checkins(d))
	section("dossier.looks", say.looks(d))
	section("dossier.backups", say.backups(d))
	section("dossier.rights", report.Part{Text: say.t("dossier.rights.text")})
	var out bytes.Buffer
	if err := print.Report(&out, doc); err != nil {
		return nil, fmt.Errorf("retention: dossier: %w", err)
	}
	return out.Bytes(), nil
}

type dossierWords struct{ lang text.Lang }

func (w dossierWords) t(key string, args ...any) string { return text.Of(w.lang, key, args...) }

func (w dossierWords) clock(t time.Time) string { return t.In(qrgate.Zone).Format("02/01/2006 15:04") }

func (w dossierWords) date(t time.Time) string { return t.In(qrgate.Zone).Format("02/01/2006") }

func (w dossierWords) day(iso string) string {
	d, err := qrgate.ParseDay(iso)
	if err != nil {
		return iso
	}
	return w.date(d.Start())
}

// named is what a text says of a name, or the name where none does.
func (w dossierWords) named(prefix, name string) string {
	if key := prefix + strings.ReplaceAll(name, " ", "_"); text.Has(key) {
		return w.t(key)
	}
	return name
}

func (w dossierWords) who(d *Dossier) report.Part {
	if !d.Known {
		return report.Part{Text: w.t("dossier.nothing")}
	}
	return report.Part{Table: w.details(&d.Details, d.Numbers)}
}

func (w dossierWords) details(about *register.PersonDetails, numbers int) *report.Table {
	born, sex, where := "", "", ""
	if about.Born > 0 {
		born = strconv.Itoa(about.Born)
	}
	if about.Sex != "" {
		sex = w.named("dossier.sex.", about.Sex)
	}
	if about.Details.Area != "" {
		where = page.AreaName(w.lang, about.Details.Area)
	}
	t := &report.Table{Head: []string{w.t("dossier.what"), w.t("dossier.held")}, Wide: []float64{1, 2}}
	for _, line := range [][2]string{
		{"name", about.Name}, {"born", born}, {"sex", sex}, {"phone", about.Phone}, {"identity", about.Identity}, {"insurance", about.Insurance}, {"street", about.Street}, {"area", where},
		{"address", about.Address}, {"guardian", about.Guardian}, {"guardian_phone", about.GuardianPhone}, {"numbers", strconv.Itoa(numbers)},
	} {
		if line[1] != "" {
			t.Rows = append(t.Rows, []report.Value{report.Words(w.t("dossier." + line[0])), report.Words(line[1])})
		}
	}
	return t
}

func (w dossierWords) invitations(d *Dossier) report.Part {
	t := &report.Table{Head: []string{w.t("dossier.event"), w.t("dossier.guest"), w.t("dossier.pass_number"), w.t("dossier.state")}, Wide: []float64{4, 4, 2, 3}}
	for i := range d.Invitations {
		to := &d.Invitations[i]
		guest := to.Name
		for _, more := range []string{to.From, to.Phone, to.Email} {
			if more != "" {
				guest += ", " + more
			}
		}
		state := w.t("dossier.invited", "at", w.date(to.Made))
		if !to.Withdrawn.IsZero() {
			state = w.t("dossier.withdrawn", "at", w.date(to.Withdrawn))
		}
		t.Rows = append(t.Rows, []report.Value{
			report.Words(to.Event + ", " + w.clock(to.Starts)), report.Words(guest), report.Words(strconv.FormatUint(uint64(to.Pass), 10)), report.Words(state),
		})
	}
	return report.Part{Table: t}
}

func (w dossierWords) cards(d *Dossier) report.Part {
	t := &report.Table{Head: []string{w.t("dossier.number"), w.t("dossier.valid"), w.t("dossier.state")}, Wide: []float64{1, 2, 2}}
	for i := range d.Cards {
		c := &d.Cards[i]
		state := w.t("dossier.card.good")
		if !c.Revoked.IsZero() {
			state = w.t("dossier.card.void", "at", w.date(c.Revoked))
		}
		t.Rows = append(t.Rows, []report.Value{
			report.Words(fmt.Sprintf("%d / %d", c.Number, c.Issue)), report.Words(w.day(c.First) + " – " + w.day(c.Last)), report.Words(state),
		})
	}
	return report.Part{Table: t}
}

func (w dossierWords) checkins(d *Dossier) report.Part {
	kept := w.t("dossier.kept", "days", d.Days)
	if len(d.Checkins) == 0 {
		return report.Part{Text: kept + "\n" + w.t("dossier.checkins.none")}
	}
	t := &report.Table{Head: []string{w.t("dossier.when"), w.t("dossier.where"), w.t("dossier.how"), w.t("dossier.until")}, Wide: []float64{3, 5, 3, 2}}
	for i := range d.Checkins {
		c := &d.Checkins[i]
		at, where := w.clock(c.Latest), c.Place
		if from := w.clock(c.Earliest); from != at {
			at += " (" + w.t("dossier.from", "at", from) + ")"
		}
		for _, more := range []string{c.Gate, c.Address} {
			if more != "" {
				where += ", " + more
			}
		}
		how := w.named("dossier.direction.", c.Direction) + ", " + w.named("dossier.pass.", c.Pass)
		if !c.Admitted {
			how += ", " + w.t("dossier.refused")
		}
		t.Rows = append(t.Rows, []report.Value{report.Words(at), report.Words(where), report.Words(how), report.Words(w.day(c.Until))})
	}
	return report.Part{Text: kept, Table: t}
}

func (w dossierWords) looks(d *Dossier) report.Part {
	if len(d.Looks) == 0 {
		return report.Part{Text: w.t("dossier.looks.none")}
	}
	t := &report.Table{Head: []string{w.t("dossier.when"), w.t("dossier.by"), w.t("dossier.why")}, Wide: []float64{2, 3, 4}}
	for _, l := range d.Looks {
		by, why := l.Name, w.named("dossier.action.", l.Action)
		if by == "" {
			by = w.t("dossier.by.gone")
		}
		if l.Case != "" {
			why += ", " + l.Case
		}
		t.Rows = append(t.Rows, []report.Value{report.Words(w.clock(l.At)), report.Words(by), report.Words(why)})
	}
	return report.Part{Table: t}
}

func (w dossierWords) backups(d *Dossier) report.Part {
	if len(d.Backups) == 0 {
		return report.Part{Text: w.t("dossier.backups.none")}
	}
	said := []string{w.t("dossier.backups.some")}
	for _, b := range d.Backups {
		said = append(said, w.t("dossier.backup", "made", w.date(b.Made), "until", w.date(b.Until)))
	}
	return report.Part{Text: strings.Join(said, "\n")}
}
