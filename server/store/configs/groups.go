package configs

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/qrgate/qrgate/server/fleet/configs"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store"
)

// RenameGroup gives a group another name. The error is qrgate.ErrConflict if another
// group has it.
func (c *Configs) RenameGroup(ctx context.Context, id int64, name, by string) error {
	if name == "" || !text(name) {
		return fmt.Errorf("configs: rename group: %w", qrgate.ErrInvalid)
	}
	return c.group(ctx, id, by, "rename group of kiosks", "UPDATE config_groups SET name = ? WHERE id = ? AND removed = 0", name, id)
}

// RemoveGroup removes a group; its kiosks are in none then. What was said of it, and who
// said it, stays as history.
func (c *Configs) RemoveGroup(ctx context.Context, id int64, by string) error {
	// Its name may be given again.
	return c.group(ctx, id, by, "remove group of kiosks",
		"UPDATE config_groups SET removed = ?, name = name || ' (' || CAST(id AS TEXT) || ')' WHERE id = ? AND removed = 0", c.now().UnixMilli(), id)
}

func (c *Configs) group(ctx context.Context, id int64, by, action, query string, args ...any) error {
	err := c.s.Write(ctx, func(t store.Tx) error {
		if err := rise(t); err != nil {
			return err
		}
		n, err := t.Exec(query, args...)
		if err != nil {
			return err
		}
		if n == 0 {
			return qrgate.ErrNotFound
		}
		if _, err := t.Exec("DELETE FROM config_members WHERE group_id IN (SELECT id FROM config_groups WHERE id = ? AND removed <> 0)", id); err != nil {
			return err
		}
		return t.Audit(by, action, string(configs.Group(id)), "")
	})
	if err != nil {
		return fmt.Errorf("configs: group %d: %w", id, err)
	}
	return nil
}

// mostJoined is how many kiosks one transaction puts into a group, so that others who
// write wait for a moment only.
const mostJoined = 500

// Join puts kiosks into a group, out of any other; group 0 is none. A kiosk or a group
// that is not there is qrgate.ErrNotFound, and then some kiosks may have been put there
// if they are more than a transaction is for, each with its audit row.
func (c *Configs) Join(ctx context.Context, group int64, kiosks []string, by string) error {
	kiosks = slices.Compact(slices.Sorted(slices.Values(kiosks)))
	for some := range slices.Chunk(kiosks, mostJoined) {
		if err := c.s.Write(ctx, func(t store.Tx) error { return join(t, group, some, by) }); err != nil {
			return fmt.Errorf("configs: join %s: %w", configs.Group(group), err)
		}
	}
	return nil
}

func join(t store.Tx, group int64, kiosks []string, by string) error {
	if err := rise(t); err != nil {
		return err
	}
	in, ids := list(kiosks)
	if _, err := t.Exec("DELETE FROM config_members WHERE kiosk_no IN (SELECT no FROM kiosks WHERE id IN "+in+")", ids...); err != nil {
		return err
	}
	note := "none"
	if group != 0 {
		n, err := t.Exec(`INSERT INTO config_members (kiosk_no, group_id) SELECT k.no, g.id FROM kiosks k, config_groups g
			WHERE g.id = ? AND g.removed = 0 AND k.kind = 0 AND k.id IN `+in, append([]any{group}, ids...)...)
		if err != nil {
			return err
		}
		if n != int64(len(kiosks)) {
			return qrgate.ErrNotFound
		}
		note = string(configs.Group(group))
	}
	return t.AuditAll(by, "move kiosk to group", kiosks, note)
}

// list returns kiosks as a list of values. It has one of two lengths, because
// statements are kept prepared.
func list(kiosks []string) (marks string, values []any) {
	n := 1
	if len(kiosks) > 1 {
		n = mostJoined
	}
	for i := range n {
		values = append(values, kiosks[min(i, len(kiosks)-1)])
	}
	return "(?" + strings.Repeat(", ?", n-1) + ")", values
}
