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
	"github.com/qrgate/qrgate/sync/pass"
)

const personUsage = `person export KIND NUMBER [-out DIR] [-request ID]
        write all that is held of a person: signed JSON, and to read or print a page and a PDF
  person erase KIND NUMBER -yes [-out DIR] [-request ID]
        erase a person and write the signed proof
  KIND is card, phone (+84...), cccd or bhyt; a NUMBER of - is read from standard input,
  so that it stands in no history`

var personKinds = map[string]pass.Kind{"card": pass.Card, "phone": pass.Phone, "cccd": pass.CCCD, "bhyt": pass.BHYT}

func person(ctx context.Context, env environment, dir, request string, yes bool) error {
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
		p, err := g.keeper.Find(ctx, kind, number)
		if err != nil {
			return err
		}
		name := "person-" + time.Now().In(qrgate.Zone).Format("20060102-150405")
		if env.args[0] == "export" {
			return exportPerson(ctx, env, g, p, request, filepath.Join(dir, name))
		}
		if !yes {
			d, err := g.keeper.Export(ctx, "", request, p)
			if err != nil {
				return err
			}
			fmt.Fprintf(env.out, "would erase: %d check-ins, %d cards, %d numbers; say -yes to do it\n", len(d.Checkins), len(d.Cards), d.Numbers)
			return nil
		}
		file, err := g.keeper.Erase(ctx, "", request, p)
		if err != nil {
			return err
		}
		fmt.Fprintln(env.out, name+"-erased.json")
		return writeNew(filepath.Join(dir, name+"-erased.json"), file)
	})
}

func exportPerson(ctx context.Context, env environment, g *guards, p qrgate.Person, request, path string) error {
	d, err := g.keeper.Export(ctx, "", request, p)
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
