package intro

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"strings"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/portal/text"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/register"
)

//go:embed parts
var partFiles embed.FS

// parts holds the introduction as a part of a page, in each language.
var parts = func() map[text.Lang]*template.Template {
	all := map[text.Lang]*template.Template{}
	for _, lang := range text.Langs() {
		other := text.English
		if lang == text.English {
			other = text.Vietnamese
		}
		all[lang] = template.Must(template.New("").Funcs(template.FuncMap{
			"t":         func(key string, args ...any) string { return text.Of(lang, key, args...) },
			"other":     func(key string, args ...any) string { return text.Of(other, key, args...) },
			"otherLang": func() string { return string(other) },
			"phone":     page.ShowPhone,
			"price":     func(o register.Offer) string { return priceOf(lang, o) },
		}).ParseFS(partFiles, "parts/*.html"))
	}
	return all
}()

// part is what the template gets.
type part struct {
	*register.Introduction
	Paragraphs [][]string // of lines
	Pictures   string     // where their addresses begin
}

// render returns an introduction as a part of a page in a language, the most
// important words in both. Its pictures' addresses begin with pictures.
func render(lang text.Lang, in *register.Introduction, pictures string) (template.HTML, error) {
	var out strings.Builder
	p := part{in, paragraphs(in.About), pictures}
	if err := parts[lang].ExecuteTemplate(&out, "introduction.html", p); err != nil {
		return "", fmt.Errorf("intro: %w", err)
	}
	return template.HTML(out.String()), nil
}

func paragraphs(about string) [][]string {
	var all [][]string
	var lines []string
	for line := range strings.Lines(about + "\n\n") {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		} else if lines != nil {
			all, lines = append(all, lines), nil
		}
	}
	return all
}

// priceOf returns a price as people read it, or "".
func priceOf(lang text.Lang, o register.Offer) string {
	if o.Price > 0 {
		return text.Of(lang, "intro.dong", "n", page.Number(o.Price))
	}
	return o.Terms
}

// Introduction returns what the place says of itself, as a part of the page that
// its visitors see after they have checked in, or false if it says nothing to
// them. It is in Vietnamese with the headings in English too.
func (x *Intro) Introduction(ctx context.Context, no uint32) (template.HTML, bool) {
	_, in, err := x.published(ctx, no)
	if err == nil {
		var html template.HTML
		if html, err = render(text.Vietnamese, in, "/anh/"); err == nil {
			return html, true
		}
	}
	if !errors.Is(err, qrgate.ErrNotFound) && ctx.Err() == nil {
		// The visitor has checked in: that must not look like a failure.
		x.log.Error("introduction not shown", "place", no, "err", err)
	}
	return "", false
}

// published returns a place and its introduction if everybody may read it, else
// [qrgate.ErrNotFound].
func (x *Intro) published(ctx context.Context, no uint32) (*qrgate.Place, *register.Introduction, error) {
	p, err := x.reg.Place(ctx, no)
	if err != nil {
		return nil, nil, err
	}
	in, err := x.reg.Introduction(ctx, no)
	if err == nil && (!in.Shown || !p.Deleted.IsZero()) {
		err = qrgate.ErrNotFound
	}
	return p, in, err
}
