package fleet

import (
	"fmt"
	"strings"

	judge "github.com/qrgate/qrgate/server/fleet"
	"github.com/qrgate/qrgate/server/mail"
	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/portal/text"
)

// Letter returns a message as a letter in both languages. base is the portal's
// address.
func Letter(m judge.Message, base string) mail.Message {
	letter := mail.Message{To: m.Subscription.Email, Subject: subject(text.Vietnamese, &m)}
	var b strings.Builder
	for i, lang := range []text.Lang{text.Vietnamese, text.English} {
		if i > 0 {
			b.WriteString("\n----\n\n")
		}
		write(&b, lang, &m, base)
	}
	letter.Text = b.String()
	return letter
}

func subject(lang text.Lang, m *judge.Message) string {
	say := func(key string, n int) string { return "QRGate: " + text.Of(lang, key, "n", page.Number(n)) }
	switch {
	case m.Outage > 0:
		return say("fleet.letter.outage", m.Outage)
	case len(m.Begun) > 0:
		return say("fleet.letter.begun", len(m.Begun)+m.More)
	case m.Back:
		return "QRGate: " + text.Of(lang, "fleet.letter.back")
	}
	return say("fleet.letter.ended", len(m.Ended)+m.More)
}

func write(b *strings.Builder, lang text.Lang, m *judge.Message, base string) {
	say := func(key string, args ...any) { fmt.Fprintln(b, text.Of(lang, key, args...)) }
	items := func(key string, all []judge.Item) {
		if len(all) == 0 {
			return
		}
		say(key, "n", page.Number(len(all)))
		for _, i := range all {
			a := judge.Alarm{Kind: i.Kind, Value: i.Value, About: i.About, Grave: i.Grave}
			fmt.Fprintf(b, "- %s (%s), %s: %s\n", line(i.Place), i.Kiosk, clockText(i.Since), line(alarmText(lang, &a)))
		}
		b.WriteByte('\n')
	}
	if m.Outage > 0 {
		say("fleet.letter.outage", "n", page.Number(m.Outage))
		say("fleet.letter.outage.do")
		b.WriteByte('\n')
	}
	if m.Back {
		say("fleet.letter.back")
		b.WriteByte('\n')
	}
	items("fleet.letter.begun", m.Begun)
	items("fleet.letter.ended", m.Ended)
	if m.More > 0 {
		say("fleet.letter.more", "n", page.Number(m.More))
	}
	fmt.Fprintf(b, "%s/thiet-bi/canh-bao\n", base)
}

// line keeps what people have written on one line.
func line(s string) string { return strings.Join(strings.Fields(s), " ") }
