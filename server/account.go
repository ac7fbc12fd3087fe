package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/qrgate/qrgate/server/area"
	"github.com/qrgate/qrgate/server/portal/account"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/signin"
	"github.com/qrgate/qrgate/server/store"
	"github.com/qrgate/qrgate/server/store/register"
	"github.com/qrgate/qrgate/server/vault"
)

const accountUsage = `account add NAME [-role ROLE -scope SCOPE] [-display NAME] [-stdin]
        make an account: the first administrator with -role administrator -scope all.
        Prints a link with which its owner chooses a password, or reads the password
        from standard input. Scopes: all, sector:ID, area:CODE@DATE, organisation:ID
  account list
        print every account with its roles
  account recover NAME [-second]
        print a code with which the owner chooses a new password within 15 minutes;
        -second takes the second factor away too`

// linkFor is how long the owner of a new account has to choose a password.
const linkFor = 3 * 24 * time.Hour

// accountFlags makes the command for accounts. It needs nobody to be signed in,
// so it is how the first administrator comes to be.
func accountFlags(f *flag.FlagSet) func(context.Context, environment) error {
	role := f.String("role", "", "`role` that the account holds: "+roleNames())
	scope := f.String("scope", "all", "`scope` within which it holds it: all, sector:ID, area:CODE@DATE, organisation:ID")
	display := f.String("display", "", "`name` that people see (default NAME)")
	stdin := f.Bool("stdin", false, "read the password from standard input")
	second := f.Bool("second", false, "take the second factor away too")
	return func(ctx context.Context, env environment) error {
		if len(env.args) == 0 {
			return fmt.Errorf("%w: say add, list or recover\n  %s", errUsage, accountUsage)
		}
		var do func(*register.Register) error
		switch verb, args := env.args[0], env.args[1:]; {
		case verb == "add" && len(args) == 1:
			grants, err := grantOf(*role, *scope)
			if err != nil {
				return err
			}
			name, err := register.UserName(args[0])
			if err != nil {
				return fmt.Errorf("%w: a user name is %d to %d of a-z, 0-9, full stop, underscore and hyphen, not %q", errUsage, register.MinUserName, register.MaxUserName, args[0])
			}
			a := &register.Account{Name: name, Display: *display}
			if a.Display == "" {
				a.Display = name
			}
			do = func(reg *register.Register) error { return addAccount(ctx, env, reg, a, grants, *stdin) }
		case verb == "list" && len(args) == 0:
			do = func(reg *register.Register) error { return listAccounts(ctx, env, reg) }
		case verb == "recover" && len(args) == 1:
			do = func(reg *register.Register) error { return recoverAccount(ctx, env, reg, args[0], *second) }
		default:
			return fmt.Errorf("%w:\n  %s", errUsage, accountUsage)
		}
		return withStore(ctx, env.config, func(s *store.Store) error { return do(register.New(s, time.Now)) })
	}
}

func roleNames() string {
	var names []string
	for _, r := range qrgate.Roles() {
		names = append(names, string(r))
	}
	return strings.Join(names, ", ")
}

// grantOf reads the role that a new account is to hold, if any.
func grantOf(role, scope string) ([]qrgate.Grant, error) {
	if role == "" {
		return nil, nil
	}
	in, err := qrgate.ParseScope(scope)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUsage, err)
	}
	g := qrgate.Grant{Role: qrgate.Role(role), Scope: in}
	if err := g.Check(); err != nil {
		return nil, fmt.Errorf("%w: %w; roles are %s", errUsage, err, roleNames())
	}
	switch in.Kind {
	case qrgate.InSector:
		_, err = qrgate.FindSector(in.ID)
	case qrgate.InArea:
		var id area.ID
		if id, err = area.ParseID(in.ID); err == nil {
			if _, ok := area.Lookup(id); !ok {
				err = fmt.Errorf("area %s: %w", id, qrgate.ErrNotFound)
			}
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUsage, err)
	}
	return []qrgate.Grant{g}, nil
}

func addAccount(ctx context.Context, env environment, reg *register.Register, a *register.Account, grants []qrgate.Grant, stdin bool) error {
	for _, g := range grants {
		if g.Scope.Kind == qrgate.InOrganisation {
			if _, err := reg.Organisation(ctx, g.Scope.ID); err != nil {
				return err
			}
		}
	}
	if stdin {
		password, err := bufio.NewReader(os.Stdin).ReadString('\n')
		if password = strings.TrimRight(password, "\r\n"); password == "" {
			return errors.Join(errors.New("no password on standard input"), err)
		}
		if err := signin.CheckPassword(password, a.Name, a.Display); err != nil {
			return err
		}
		if a.Password, err = signin.NewHasher(signin.HashOptions{}).Hash(ctx, password); err != nil {
			return err
		}
	}
	err := reg.AddAccount(ctx, "", a, grants...)
	if errors.Is(err, qrgate.ErrConflict) {
		return fmt.Errorf("there is an account %s already: account recover lets its owner in again", a.Name)
	}
	if err != nil || stdin {
		return err
	}
	token, sum := signin.NewToken()
	if err := reg.AddSecret(ctx, "", a.ID, register.ForReset, "", sum[:], time.Now().Add(linkFor)); err != nil {
		return err
	}
	fmt.Fprintf(env.out, "%s%s?%s\n", env.config.PortalURL, account.ResetPath, url.Values{"ma": {token}}.Encode())
	return nil
}

func listAccounts(ctx context.Context, env environment, reg *register.Register) error {
	all, err := reg.Accounts(ctx)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(env.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "ACCOUNT\tSTATE\tSECOND\tADDED\tROLES")
	for _, a := range all {
		grants, err := reg.Grants(ctx, a.ID)
		if err != nil {
			return err
		}
		var roles []string
		for _, g := range grants {
			roles = append(roles, string(g.Role)+"/"+g.Scope.String())
		}
		state, second := "active", "no"
		if a.Blocked {
			state = "blocked"
		}
		if a.TOTP != nil {
			second = "yes"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", a.Name, state, second, a.Created.In(qrgate.Zone).Format(time.DateOnly), strings.Join(roles, " "))
	}
	return w.Flush()
}

func recoverAccount(ctx context.Context, env environment, reg *register.Register, typed string, second bool) error {
	name, err := register.UserName(typed)
	if err != nil {
		return fmt.Errorf("%w: no account can be called %q", errUsage, typed)
	}
	a, err := reg.AccountNamed(ctx, name)
	if err != nil {
		return err
	}
	if a.Blocked {
		return fmt.Errorf("account %s is blocked", name)
	}
	master, err := vault.ReadMaster(env.config.Master)
	if err != nil {
		return err
	}
	code, sum := account.NewCodes(master.Derive).OneTime()
	until := time.Now().Add(signin.OneTimeFor)
	if err := reg.AddOneTime(ctx, "", a.ID, sum[:], second, until); err != nil {
		return err
	}
	fmt.Fprintf(env.out, "%s\nworks until %s at %s%s\n", code, until.In(qrgate.Zone).Format("15:04"), env.config.PortalURL, account.ForgotPath)
	return nil
}
