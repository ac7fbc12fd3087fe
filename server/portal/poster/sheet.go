package poster

import (
	"bytes"
	"context"
	"time"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/portal/text"
	"github.com/qrgate/qrgate/server/print"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/sync/pass"
)

// previewWidth is the width of a small picture of a poster, in pixels.
const previewWidth = 800

// sheet returns what a poster says.
func (x *Posters) sheet(v *page.View, kind print.Kind, is *register.Poster, t *register.Template) print.Sheet {
	controller := t.Controller
	if controller == "" {
		controller = v.Controller
	}
	return print.Sheet{
		Kind: kind, URL: x.address(is.Place, is.Version), Place: is.Name, Address: is.Address,
		Code: pass.PosterCode(is.Place, uint8(is.Version)), Version: is.Version, Printed: x.f.Now().In(qrgate.Zone),
		HelpLine: v.HelpLine, Controller: controller, RetentionDays: x.o.RetentionDays,
		Template: print.Template{
			Version: t.Version, Heading: both(t.Heading), Emblem: t.Emblem, Sentences: both(t.Sentences), Notice: print.Text(t.Notice),
		},
	}
}

func both(all []register.Bilingual) []print.Text {
	var texts []print.Text
	for _, t := range all {
		texts = append(texts, print.Text(t))
	}
	return texts
}

// builtIn is the template before anybody has set one.
func builtIn() *register.Template {
	say := func(key string) register.Bilingual {
		return register.Bilingual{VI: text.Of(text.Vietnamese, key), EN: text.Of(text.English, key)}
	}
	return &register.Template{
		Heading:   []register.Bilingual{say("poster.built_in.heading.1"), say("poster.built_in.heading.2")},
		Sentences: []register.Bilingual{say("poster.built_in.sentence")},
	}
}

// templateOf returns one version of the template.
func (x *Posters) templateOf(ctx context.Context, version int) (*register.Template, error) {
	if version == 0 {
		return builtIn(), nil
	}
	return x.reg.Template(ctx, version)
}

// latest returns the template that new posters follow.
func (x *Posters) latest(ctx context.Context) (*register.Template, error) {
	all, err := x.reg.Templates(ctx)
	if err != nil || len(all) == 0 {
		return builtIn(), err
	}
	return x.reg.Template(ctx, all[0].Version)
}

// waitFor is how long somebody waits for those who draw before them.
const waitFor = 20 * time.Second

func (x *Posters) draw(ctx context.Context, format print.Format, s print.Sheet) ([]byte, error) {
	done, err := x.desk.Take(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	var out bytes.Buffer
	if err := print.Poster(&out, format, s); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
