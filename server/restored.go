package main

import (
	"context"
	"fmt"
	"time"

	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/enrolment"
)

// enrolmentCommand says whether new kiosks are taken, and that they may come after a
// restore.
func enrolmentCommand(ctx context.Context, env environment) error {
	if len(env.args) != 1 || env.args[0] != "show" && env.args[0] != "confirm" {
		return fmt.Errorf("%w: enrolment show | confirm", errUsage)
	}
	return withStore(ctx, env.config, func(s *store.Store) error {
		e := enrolment.New(s, time.Now)
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
			said = fmt.Sprintf("no new kiosks are taken: the database was restored at %s; revoke again what was revoked after its backup, then: qrgate-server enrolment confirm", at.UTC().Format(time.RFC3339))
		}
		_, err = fmt.Fprintln(env.out, said)
		return err
	})
}
