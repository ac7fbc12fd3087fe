package retention

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/portal/text"
	"github.com/qrgate/qrgate/server/qrgate"
)

//go:embed dossier.html
var dossierPage string

// HTML returns the dossier as one file to read and print, which loads nothing.
func (d *Dossier) HTML(lang text.Lang) ([]byte, error) {
	t, err := template.New("dossier").Funcs(template.FuncMap{
		"t":     func(key string, args ...any) string { return text.Of(lang, key, args...) },
		"lang":  func() string { return string(lang) },
		"clock": func(t time.Time) string { return t.In(qrgate.Zone).Format("02/01/2006 15:04") },
		"date":  func(t time.Time) string { return t.In(qrgate.Zone).Format("02/01/2006") },
		"day": func(iso string) string {
			d, err := qrgate.ParseDay(iso)
			if err != nil {
				return iso
			}
			return d.Start().Format("02/01/2006")
		},
		"area": func(id string) string { return page.AreaName(lang, id) },
		"named": func(prefix, name string) string {
			if key := prefix + strings.ReplaceAll(name, " ", "_"); text.Has(key) {
				return text.Of(lang, key)
			}
			return name
		},
	}).Parse(dossierPage)
	if err != nil {
		panic(err) // a bug that every test finds
	}
	var out bytes.Buffer
	if err := t.Execute(&out, d); err != nil {
		return nil, fmt.Errorf("retention: dossier: %w", err)
	}
	return out.Bytes(), nil
}
