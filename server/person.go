package main

import (
	"bufio"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/portal/text"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/retention"
	"github.com/qrgate/qrgate/sync/pass"
)

const personUsage = `person export KIND NUMBER [-name NAME] [-out DIR] [-request ID]
        write all that is held of a person: signed JSON, and to read or print a page and a PDF
  person erase KIND NUMBER -yes [-name NAME] [-out DIR] [-request ID]
        erase a person and write the signed proof
  KIND is card, phone (+84...), cccd, bhyt or event (the number on an invitation); a
  NUMBER of - is read from standard input, so that it stands in no history. All that the
  person is known as is printed and is meant: whoever a health officer has said is the
  same human, and whoever has the same telephone and name. If somebody on it is
  another human after all, part them on the page of a request first`

var personKinds = map[string]pass.Kind{"card": pass.Card, "phone": pass.Phone, "cccd": pass.CCCD, "bhyt": pass.BHYT, "event": pass.Event}

func person(ctx context.Context, env environment, dir, request, called string, yes bool) error {
	if len(env.args) != 3 || env.args[0] != "export" && env.args[0] != "erase" {
		return fmt.Errorf("%w: %s", errUsage, personUsage)
	}
	kind, ok := personKinds[env.args[1]]
	if !ok {
		return fmt.Errorf("%w: %s", errUsage, personUsage)
	}
	number := env.args[2]
	if number == "-" {
		line, err := bufio.NewReader(os.Stdin).ReadString('\n')
		if number = strings.TrimSpace(line); number == "" {
			return fmt.Errorf("number: %w", err)
		}
	}
	return withGuards(ctx, env, func(g *guards) error {
		of, err := identitiesOf(ctx, env, g, kind, number, called)
		if err != nil {
			return err
		}
		name := "person-" + time.Now().In(qrgate.Zone).Format("20060102-150405")
		if env.args[0] == "export" {
			return exportPerson(ctx, env, g, of, request, filepath.Join(dir, name))
		}
		if !yes {
			d, err := g.keeper.Export(ctx, "", request, of)
			if err != nil {
				return err
			}
			fmt.Fprintf(env.out, "would erase: %d check-ins, %d cards, %d invitations, %d numbers; say -yes to do it\n", len(d.Checkins), len(d.Cards), len(d.Invitations), d.Numbers)
			return nil
		}
		file, err := g.keeper.Erase(ctx, "", request, of)
		if err != nil {
			return err
		}
		fmt.Fprintln(env.out, name+"-erased.json")
		return writeNew(filepath.Join(dir, name+"-erased.json"), file)
	})
}

// identitiesOf finds all that somebody is known as, and says so.
func identitiesOf(ctx context.Context, env environment, g *guards, kind pass.Kind, number, called string) (retention.Identities, error) {
	found, others, err := g.keeper.Search(ctx, kind, number, called)
	if err != nil {
		return nil, err
	}
	if others > 0 {
		env.log.Warn("others have the telephone under another name or year of birth, and are not meant", "n", others)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("nothing is held by this number: %w", qrgate.ErrNotFound)
	}
	of, err := g.keeper.Identities(ctx, found...)
	for i, one := range of {
		env.log.Info("known as", "no", i+1, "what", text.Of(text.English, "identity.what."+string(one.What)), "why", text.Of(text.English, "identity.why."+string(one.Why)))
	}
	return of, err
}

func exportPerson(ctx context.Context, env environment, g *guards, of retention.Identities, request, path string) error {
	d, err := g.keeper.Export(ctx, "", request, of)
	if err != nil {
		return err
	}
	file, err := g.keeper.File(d)
	if err != nil {
		return err
	}
	sheet, err := d.HTML(text.Vietnamese)
	if err != nil {
		return err
	}
	document, err := d.PDF(text.Vietnamese)
	if err != nil {
		return err
	}
	files := map[string][]byte{path + ".json": file, path + ".html": sheet, path + ".pdf": document}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := writeNew(name, files[name]); err != nil {
			return err
		}
		fmt.Fprintln(env.out, name)
	}
	return nil
}
