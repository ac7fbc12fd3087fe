package account

import (
	"net/url"
	"strings"

	"github.com/qrgate/qrgate/server/mail"
	"github.com/qrgate/qrgate/server/portal/text"
	"github.com/qrgate/qrgate/server/store/register"
)

// letter sends a letter in both languages; kind is part of the keys of its texts.
// A letter that is not taken is as good as one that is lost on the way: the
// pages tell people that they may ask again.
func (d *Desk) letter(to, kind, link string, args ...any) {
	if d.o.Mail == nil || to == "" {
		return
	}
	args = append(args, "service", d.o.Service)
	var subjects, parts []string
	for _, lang := range []text.Lang{text.Vietnamese, text.English} {
		subjects = append(subjects, text.Of(lang, "account.mail."+kind+".subject", args...))
		parts = append(parts, text.Of(lang, "account.mail."+kind, args...))
		if link != "" {
			parts = append(parts, link)
		}
	}
	m := mail.Message{To: to, Subject: strings.Join(subjects, " / "), Text: strings.Join(parts, "\n\n") + "\n\n" + d.f.Base() + "\n"}
	if err := d.o.Mail.Send(m); err != nil {
		d.o.Log.Warn("letter not taken", "kind", kind, "err", err)
	}
}

// notify tells an account's owner by mail what has been done to it, if it has an
// address that works.
func (d *Desk) notify(a *register.Account, kind string) {
	if a.Confirmed {
		d.letter(a.Email, kind, "", "name", a.Name)
	}
}

// link returns the address of a page with a token.
func (d *Desk) link(path, token string) string {
	return d.f.Base() + path + "?" + url.Values{"ma": {token}}.Encode()
}
