package configs

import (
	"context"
	"fmt"

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
