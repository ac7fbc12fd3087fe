package cases

import (
	"context"
	"time"

	"github.com/qrgate/qrgate/server/mail"
	"github.com/qrgate/qrgate/server/portal/text"
	"github.com/qrgate/qrgate/server/store/casebook"
)

const (
	// watchEvery is how soon an officer is told of check-ins that came late.
	watchEvery = time.Minute
	// wholeEvery is how often everything is asked again: what comes late may only
	// say how late it was before.
	wholeEvery = 24 * time.Hour
	// mostMailed is how many notices go out at a time.
	mostMailed = 100
)

// Run watches for check-ins that come late to cases, traces those again and tells
// their officers, until ctx ends. Several servers may do so at once.
func (p *Pages) Run(ctx context.Context) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	failing := false
	whole := p.f.Now()
	for {
		full := p.f.Now().Sub(whole) >= wholeEvery
		err := p.Watch(ctx, full)
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil && full:
			whole = p.f.Now()
		case err != nil && !failing:
			p.o.Log.Warn("cases are not watched", "err", err)
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Watch is one round of [Pages.Run]. A full one asks for everything again.
func (p *Pages) Watch(ctx context.Context, full bool) error {
	late, err := p.book.Watch(ctx, p.o.Store, casebook.WatchOptions{Full: full, Again: p.Again})
	if len(late) > 0 {
		p.o.Log.Info("check-ins came late to cases", "cases", len(late))
	}
	if err != nil {
		return err
	}
	return p.mailNotices(ctx)
}

// mailNotices tells by e-mail what waits on people's pages, to those who have
// confirmed an address. It names the case and no person.
func (p *Pages) mailNotices(ctx context.Context) error {
	if p.o.Mail == nil {
		return nil
	}
	notices, err := p.book.Unmailed(ctx, mostMailed)
	if err != nil {
		return err
	}
	for _, n := range notices {
		mine, err := p.book.Mailed(ctx, n.ID)
		if err != nil {
			return err
		}
		if len(mine) == 0 {
			continue // another server's
		}
		a, err := p.reg.Account(ctx, n.Account)
		if err != nil || a.Email == "" || !a.Confirmed {
			continue // they see it on their page
		}
		m := mail.Message{
			To: a.Email, Subject: text.Of(text.Vietnamese, "cases.notice.subject", "number", n.Number),
			Text: inBoth("cases.notice."+string(n.Kind), "\n\n", "number", n.Number) + "\n\n" + p.f.Base() + noticePath(&n) + "\n",
		}
		if err := p.o.Mail.Send(m); err != nil {
			p.o.Log.Warn("notice not mailed", "case", n.Number, "err", reason(err))
		}
	}
	return nil
}

func noticePath(n *casebook.Notice) string {
	switch n.Kind {
	case casebook.GlassBroken, casebook.RestrictedUsed:
		return "/ca-benh-khan-cap"
	case casebook.Different:
		return casePath(n.Case, "thay-doi")
	}
	return casePath(n.Case)
}
