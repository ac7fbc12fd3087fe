package main

import (
	"context"
	"fmt"
	"time"

	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/enrolment"
)

// enrolments returns those of a database, with what is remembered of them outside.
func enrolments(c Config, s *store.Store) *enrolment.Enrolments {
	e := enrolment.New(s, time.Now)
	e.Marks = c.revokedDir()
	return e
}

// enrolmentCommand says whether new kiosks are taken, and that they may come after a
// restore.
func enrolmentCommand(ctx context.Context, env environment) error {
	if len(env.args) != 1 || env.args[0] != "show" && env.args[0] != "confirm" {
		return fmt.Errorf("%w: enrolment show | confirm", errUsage)
	}
	return withStore(ctx, env.config, func(s *store.Store) error {
		e := enrolments(env.config, s)
		if env.args[0] == "confirm" {
			if err := e.Confirm(ctx, ""); err != nil {
				return err
			}
		}
		at, err := e.Restored(ctx)
		if err != nil {
			return err
		}
		said := "new kiosks are taken"
		if !at.IsZero() {
			said = fmt.Sprintf("no new kiosks are taken: the database was restored at %s; see with qrgate-server kiosk list that all that were revoked still are (%s remembers them), then: qrgate-server enrolment confirm", at.UTC().Format(time.RFC3339), env.config.revokedDir())
		}
		_, err = fmt.Fprintln(env.out, said)
		return err
	})
}
