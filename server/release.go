package main

import (
	"context"
	"crypto/ed25519"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/fleet/releases"
	"github.com/qrgate/qrgate/server/ingest"
	pages "github.com/qrgate/qrgate/server/portal/release"
	"github.com/qrgate/qrgate/server/store"
	kept "github.com/qrgate/qrgate/server/store/releases"
	"github.com/qrgate/qrgate/server/vault"
	"github.com/qrgate/qrgate/sync/release"
)

const releaseUsage = `on the server, once:
  release online FILE
        write the public half of this server's own key; take it to the machine where releases are signed
on a machine without network, where DIR is kept on a stick or disk of its own:
  release init DIR -online FILE -to PLACE -to PLACE -to PLACE
        make DIR and three keepers' keys, one in each place; take them apart: any two sign, one alone cannot
  release add DIR VERSION FILE -arch arm64 [-note TEXT]
        put a program, built as VERSION, into the list that is being made; repeat for each kind of machine
  release withdraw DIR VERSION
        take a version off the list that is being made: no kiosk takes it any more
  release sign DIR KEEPER
        sign what is being made with one keeper's file; with the second it counts
  release rotate DIR -replace ID -to PLACE | -online FILE
        put new keys in a keeper's place, or another server's key in the server's; then sign
  release renew DIR [-root]
        make the same list, and with -root the same root, last longer; then sign
  release show DIR
        say what is listed, what is being made, and when what ends
on the server again, with DIR:
  release publish DIR
        serve what was signed; the portal then rolls it out (/thiet-bi/phien-ban)
  release stick FOLDER [-version VERSION]
        write what a kiosk without a network needs onto a USB stick`

// A repeated is a flag that may be given several times.
type repeated []string

func (r *repeated) String() string     { return strings.Join(*r, ", ") }
func (r *repeated) Set(v string) error { *r = append(*r, v); return nil }

// releaseFlags makes the command for releases of the kiosks' program.
func releaseFlags(f *flag.FlagSet) func(context.Context, environment) error {
	var to repeated
	f.Var(&to, "to", "`folder` for a keeper's new keys; repeat it for each keeper")
	online := f.String("online", "", "`file` with the public half of the server's own key")
	arch := f.String("arch", "", "`machine` that the program is built for: "+strings.Join(append(release.Arches(), release.Systems()...), ", "))
	note := f.String("note", "", "one `line` about the version, for who rolls it out")
	replace := f.String("replace", "", "beginning of the `id` of the keeper whose keys are replaced; see show")
	root := f.Bool("root", false, "renew the root too")
	only := f.String("version", "", "only this `version`; default all that are listed")
	usage := f.Usage
	f.Usage = func() { usage(); fmt.Fprintf(f.Output(), "\n%s\n", releaseUsage) }
	return func(ctx context.Context, env environment) error {
		if len(env.args) < 2 {
			return fmt.Errorf("%w:\n%s", errUsage, releaseUsage)
		}
		verb, dir, rest := env.args[0], env.args[1], env.args[2:]
		now := time.Now()
		change := func(n int, do func(r *releases.Repository) error) error {
			if len(rest) != n {
				return fmt.Errorf("%w:\n%s", errUsage, releaseUsage)
			}
			r, err := releases.Open(dir, now)
			if err == nil {
				err = do(r)
			}
			if err == nil {
				err = showReleases(env, dir, now)
			}
			return err
		}
		switch verb {
		case "online":
			return writeOnline(env, dir)
		case "init":
			if *online == "" || len(rest) != 0 {
				return fmt.Errorf("%w: say -online FILE and three times -to PLACE", errUsage)
			}
			key, err := releases.ReadOnline(*online)
			if err != nil {
				return err
			}
			if err := releases.Init(dir, key, to, now); err != nil {
				return err
			}
			fmt.Fprintf(env.out, "The keys are in\n  %s\nTake each to a place of its own. Two of them sign a release; whoever finds one can do nothing.\n\n", strings.Join(to, "\n  "))
			return showReleases(env, dir, now)
		case "add":
			return change(2, func(r *releases.Repository) error { return r.Add(rest[0], *arch, rest[1], *note) })
		case "withdraw":
			return change(1, func(r *releases.Repository) error { return r.Withdraw(rest[0]) })
		case "renew":
			return change(0, func(r *releases.Repository) error { return r.Renew(*root) })
		case "sign":
			return change(1, func(r *releases.Repository) error { _, err := r.Sign(rest[0]); return err })
		case "rotate":
			return change(0, func(r *releases.Repository) error { return rotate(env, r, *online, *replace, to) })
		case "show":
			return change(0, func(*releases.Repository) error { return nil })
		case "publish":
			return publishReleases(ctx, env, dir, now)
		case "stick":
			key, err := onlineKey(env.config)
			if err != nil {
				return err
			}
			if err := releases.NewSite(env.config.releasesDir(), key, time.Now).Stick(dir, *only); err != nil {
				return err
			}
			_, err = fmt.Fprintf(env.out, "%s holds what a kiosk needs, for %d days from now\n", dir, int(releases.TimestampLasts.Hours()/24))
			return err
		}
		return fmt.Errorf("%w:\n%s", errUsage, releaseUsage)
	}
}

func rotate(env environment, r *releases.Repository, online, replace string, to []string) error {
	switch {
	case online != "" && replace == "" && len(to) == 0:
		key, err := releases.ReadOnline(online)
		if err != nil {
			return err
		}
		return r.RotateOnline(key)
	case online == "" && replace != "" && len(to) == 1:
		file, err := r.Rotate(replace, to[0])
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(env.out, "New keys in %s. Destroy the old ones when two other keepers have signed.\n\n", file)
		return err
	}
	return fmt.Errorf("%w: say -replace ID -to PLACE, or -online FILE", errUsage)
}

// onlineKey returns this server's own key of releases.
func onlineKey(c Config) (ed25519.PrivateKey, error) {
	master, err := vault.ReadMaster(c.Master)
	if err != nil {
		return nil, err
	}
	return releases.OnlineKey(master.Derive(releases.OnlinePurpose)), nil
}

func writeOnline(env environment, file string) error {
	key, err := onlineKey(env.config)
	if err != nil {
		return err
	}
	if err := releases.WriteOnline(file, key.Public().(ed25519.PublicKey)); err != nil {
		return err
	}
	_, err = fmt.Fprintln(env.out, file)
	return err
}

func publishReleases(ctx context.Context, env environment, dir string, now time.Time) error {
	key, err := onlineKey(env.config)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(env.config.releasesDir(), 0o755); err != nil {
		return err
	}
	listed, err := releases.Publish(dir, env.config.releasesDir(), key.Public().(ed25519.PublicKey), now)
	if err != nil {
		return err
	}
	return withStore(ctx, env.config, func(s *store.Store) error {
		if err := kept.New(s, time.Now).Publish(ctx, "", listed); err != nil {
			return err
		}
		fmt.Fprintf(env.out, "Served from now on:\n%s", said(listed))
		return nil
	})
}

func said(all []releases.Release) string {
	var b strings.Builder
	for _, r := range all {
		fmt.Fprintf(&b, "  %-10s %-18s %s\n", r.Version, strings.Join(r.Arches, " "), r.Note)
	}
	if len(all) == 0 {
		b.WriteString("  nothing\n")
	}
	return b.String()
}

func showReleases(env environment, dir string, now time.Time) error {
	r, err := releases.Open(dir, now)
	if err != nil {
		return err
	}
	s := r.Status()
	fmt.Fprintf(env.out, "Root %d, until %s; keepers", s.Root, s.RootExpires.Format(time.DateOnly))
	for _, id := range s.Keepers {
		fmt.Fprintf(env.out, " %s", id[:8])
	}
	fmt.Fprintf(env.out, "\nList %d, until %s:\n%s", s.Targets, s.TargetsExpires.Format(time.DateOnly), said(s.Releases))
	if s.Left.Root >= 0 {
		fmt.Fprintf(env.out, "Being made: root %d, %d signatures missing\n", s.Root+1, s.Left.Root)
	}
	if s.Left.Targets >= 0 {
		fmt.Fprintf(env.out, "Being made: list %d, %d signatures missing:\n%s", s.Targets+1, s.Left.Targets, said(s.Draft))
	}
	return nil
}

// updates is what serves releases and tells kiosks of them.
type updates struct {
	job   *releases.Job
	pages *pages.Options
}

// newUpdates makes what serves releases, and lets it hear the kiosks' beats.
func newUpdates(env environment, s *store.Store, in *ingest.Ingest) (*updates, error) {
	key, err := onlineKey(env.config)
	if err != nil {
		return nil, err
	}
	site := releases.NewSite(env.config.releasesDir(), key, time.Now)
	rel := kept.New(s, time.Now)
	job := releases.NewJob(rel, site, env.config.PortalURL+release.Path, time.Now, env.log.With("task", "releases"))
	in.Beats = append(in.Beats, job.Heard)
	return &updates{job, &pages.Options{Site: site, Kept: rel, Wake: job.Wake}}, nil
}
