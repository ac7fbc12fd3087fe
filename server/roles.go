package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/qrgate/qrgate/server/enrol"
	"github.com/qrgate/qrgate/server/issue"
	"github.com/qrgate/qrgate/server/portal"
	"github.com/qrgate/qrgate/server/portal/card"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/issuing"
	"github.com/qrgate/qrgate/server/vault"
	"github.com/qrgate/qrgate/sync/wire"
)

// The roles that a server process may have. Without any of its own it has all.
//
//   - portal: pages and the API. It takes check-ins by phone and holds no key of cards
//     once those have a folder of their own.
//   - ingest: the embedded broker, if there is one, and what kiosks send.
//   - issue: signs cards and event passes, within quotas. It opens neither the vault nor
//     a port.
type roles struct{ portal, ingest, issue bool }

// everyRole is a server that is one process.
var everyRole = roles{true, true, true}

func (r roles) String() string {
	var names []string
	for _, of := range []struct {
		has  bool
		name string
	}{{r.portal, "portal"}, {r.ingest, "ingest"}, {r.issue, "issue"}} {
		if of.has {
			names = append(names, of.name)
		}
	}
	return strings.Join(names, ",")
}

// Set implements [flag.Value].
func (r *roles) Set(text string) error {
	*r = roles{}
	for _, name := range strings.Split(text, ",") {
		switch strings.TrimSpace(name) {
		case "portal":
			r.portal = true
		case "ingest":
			r.ingest = true
		case "issue":
			r.issue = true
		default:
			return fmt.Errorf("%q is neither portal nor ingest nor issue", name)
		}
	}
	return nil
}

// serveFlags makes the command that serves.
func serveFlags(f *flag.FlagSet) func(context.Context, environment) error {
	as := everyRole
	f.Var(&as, "role", "`roles` of this process, of several that share a database of PostgreSQL: portal, ingest, issue, with commas between")
	return func(ctx context.Context, env environment) error {
		if as != everyRole && strings.HasPrefix(env.config.Store, "sqlite:") {
			return fmt.Errorf("%w: -role %s is for a server of several processes, which needs PostgreSQL", errUsage, &as)
		}
		env.roles = as
		if as == (roles{issue: true}) {
			return serveIssue(ctx, env)
		}
		return serve(ctx, env)
	}
}

// issuers opens the keys of cards and passes, wherever they are.
func issuers(c Config) (*enrol.Keys, error) {
	dir, file := c.keysDir(), c.Master
	if c.Issue.Keys != "" {
		dir, file = c.Issue.Keys, c.Issue.Master
	}
	master, err := vault.ReadMaster(file)
	if err != nil {
		return nil, err
	}
	return enrol.Load(dir, master)
}

// serveIssue signs cards and passes until ctx ends.
func serveIssue(ctx context.Context, env environment) error {
	keys, err := issuers(env.config)
	if err != nil {
		return err
	}
	s, err := store.Open(ctx, env.config.Store, store.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	signer, err := newSigner(env, issuing.New(s, time.Now), keys)
	if err != nil {
		return err
	}
	env.log.Info("signing", "version", version, "batch", env.config.Issue.Quota.Batch, "day", env.config.Issue.Quota.Day)
	return signer.Run(ctx)
}

// newSigner returns what signs with these keys. Those of cards must be there: a process
// that only seems to sign is worse than one that does not start.
func newSigner(env environment, kept *issuing.Issuing, keys *enrol.Keys) (*issue.Signer, error) {
	s := &issue.Signer{Kept: kept, Limits: env.config.Issue.limits(), Now: time.Now, Log: env.log.With("task", "issue")}
	s.Key = func(p wire.Purpose) (uint32, ed25519.PrivateKey, error) { return keys.Signer(p, time.Now()) }
	_, _, err := s.Key(wire.ForCard)
	return s, err
}

// An issuance is what has cards signed, and signs them if that is this process's role.
type issuance struct {
	office *issue.Office
	signer *issue.Signer // nil without that role
	cards  portal.Cards
}

// newIssuance joins the pages of cards to whoever signs. keys are the server's, by which
// cards are verified.
func newIssuance(env environment, s *store.Store, keys *enrol.Keys) (*issuance, error) {
	kept := issuing.New(s, time.Now)
	office, err := issue.NewOffice(kept, time.Now)
	if err != nil {
		return nil, err
	}
	i := &issuance{office: office, cards: portal.Cards{
		Sign: office.Sign, Quotas: &card.Quotas{Kept: kept, Limits: env.config.Issue.limits()}, Keys: keys.List().Cards(), Batch: env.config.CardBatch,
	}}
	if !env.roles.issue {
		return i, nil
	}
	own, err := issuers(env.config)
	if err != nil {
		return nil, err
	}
	if i.signer, err = newSigner(env, kept, own); err != nil {
		return nil, err
	}
	i.signer.Nudge = office.Nudge()
	return i, nil
}

func (i *issuance) start(ctx context.Context, tasks *errgroup.Group) {
	if i.signer != nil {
		tasks.Go(func() error { return i.signer.Run(ctx) })
	}
}

// issueFlags makes the command that gives the keys of cards a folder of their own.
func issueFlags(*flag.FlagSet) func(context.Context, environment) error {
	return func(_ context.Context, env environment) error {
		c := env.config
		if len(env.args) != 1 || env.args[0] != "split" || c.Issue.Keys == "" {
			return fmt.Errorf("%w: issue split, with [issue] keys and master in the configuration: where the keys of cards go, and a new file for what wraps them", errUsage)
		}
		_, keys, _, err := loadKeys(c)
		if err != nil {
			return err
		}
		master, err := splitMaster(c.Issue.Master)
		if err != nil {
			return err
		}
		if err := keys.Part(c.Issue.Keys, master, wire.ForCard, wire.ForEvent); err != nil {
			return err
		}
		_, err = fmt.Fprintf(env.out, "The keys of cards and passes are in %s, wrapped by %s.\nGive both to the user or the machine of serve -role issue, and take them and [issue] keys and master from all others.\n", c.Issue.Keys, c.Issue.Master)
		return err
	}
}

// splitMaster reads the master key of cards' keys, or makes it.
func splitMaster(path string) (vault.Master, error) {
	master, err := vault.ReadMaster(path)
	if errors.Is(err, fs.ErrNotExist) {
		master = vault.NewMaster()
		err = master.Write(path)
	}
	return master, err
}
