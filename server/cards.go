package main

import (
	"context"
	"flag"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/server/store/void"
	"github.com/qrgate/qrgate/server/vault"
	"github.com/qrgate/qrgate/sync/wire"
)

const cardsUsage = `cards list
        print the version of the list of void cards and how many are on it
  cards revoke NUMBER [-reason REASON]
        make a card void for good, where the portal cannot be used
  cards confirm
        after a restore: kiosks forget what was void before it and is not on the list`

// cardsFlags makes the command for the list of void cards.
func cardsFlags(f *flag.FlagSet) func(context.Context, environment) error {
	reasons := make([]string, 0, len(register.Reasons()))
	for _, r := range register.Reasons() {
		reasons = append(reasons, string(r))
	}
	reason := f.String("reason", string(register.Lost), "`why`: "+strings.Join(reasons, ", "))
	return func(ctx context.Context, env environment) error {
		if len(env.args) == 0 {
			return fmt.Errorf("%w: say list, revoke or confirm\n  %s", errUsage, cardsUsage)
		}
		var do func(*store.Store) error
		switch verb, args := env.args[0], env.args[1:]; {
		case verb == "list" && len(args) == 0:
			do = func(s *store.Store) error { return listVoid(ctx, env, s) }
		case verb == "revoke" && len(args) == 1:
			number, err := strconv.ParseUint(args[0], 10, 32)
			if err != nil || number == 0 || number > math.MaxUint32 || !slices.Contains(reasons, *reason) {
				return fmt.Errorf("%w: %q is no number of a card, or %q no reason", errUsage, args[0], *reason)
			}
			do = func(s *store.Store) error { return revokeCard(ctx, env, s, uint32(number), register.Reason(*reason)) }
		case verb == "confirm" && len(args) == 0:
			do = func(s *store.Store) error { return void.New(s, time.Now).Confirm(ctx, "") }
		default:
			return fmt.Errorf("%w:\n  %s", errUsage, cardsUsage)
		}
		return withStore(ctx, env.config, do)
	}
}

func listVoid(ctx context.Context, env environment, s *store.Store) error {
	c, err := void.New(s, time.Now).Since(ctx, wire.Stamp{})
	if err != nil {
		return err
	}
	confirmed := "kiosks keep what was void in earlier generations"
	if c.Alone {
		confirmed = "confirmed: earlier generations are forgotten"
	}
	_, err = fmt.Fprintf(env.out, "generation %d, version %d: %d void cards; %s\n", c.Stamp.Generation, c.Stamp.Version, len(c.Cards), confirmed)
	return err
}

func revokeCard(ctx context.Context, env environment, s *store.Store, number uint32, why register.Reason) error {
	master, err := vault.ReadMaster(env.config.Master)
	if err != nil {
		return err
	}
	days, err := vault.Open(vault.Dir(env.config.daysDir()), master, vault.Options{})
	if err != nil {
		return err
	}
	return register.New(s, time.Now).Cards(days).Revoke(ctx, "", number, why)
}
