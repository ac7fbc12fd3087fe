package progress

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/report"
	"github.com/qrgate/qrgate/server/store"
)

// A Target is one of [report.Target] for the places of a sector, an area and a
// kind, each empty for all.
type Target struct {
	ID                 string
	Sector, Area, Kind string
	report.Target
	Note    string
	Version int
	MadeBy  string
	Made    time.Time
}

func targetObject(id string) string { return "target " + id }

// AddTarget keeps a target and sets its id.
func (p *Progress) AddTarget(ctx context.Context, by string, g *Target) error {
	if g.Stage <= report.Listed || g.Stage > report.Active || g.Percent < 1 || g.Percent > 100 || g.Due <= g.Begun {
		return fmt.Errorf("progress: add target: %w", qrgate.ErrInvalid)
	}
	id := store.NewID()
	err := p.change(ctx, by, "set target", targetObject(id), fmt.Sprintf("%d%% %s by %s", g.Percent, g.Stage.Name(), g.Due),
		"INSERT INTO targets (id, sector, area, kind, stage, percent, begun, due, note, version, made_by, made) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?)",
		id, g.Sector, g.Area, g.Kind, int64(g.Stage), g.Percent, int64(g.Begun), int64(g.Due), g.Note, by, p.now().UnixMilli())
	if err == nil {
		g.ID, g.Version = id, 1
	}
	return err
}

// Targets returns every target, the next that is due first.
func (p *Progress) Targets(ctx context.Context) ([]Target, error) { return p.targets(ctx, "1 = 1") }

// Target returns the one with this id.
func (p *Progress) Target(ctx context.Context, id string) (*Target, error) {
	all, err := p.targets(ctx, "id = ?", id)
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("progress: target: %w", qrgate.ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	return &all[0], nil
}

func (p *Progress) targets(ctx context.Context, where string, args ...any) (all []Target, err error) {
	err = p.s.Read(ctx, func(rows *sql.Rows) error {
		var g Target
		err := rows.Scan(&g.ID, &g.Sector, &g.Area, &g.Kind, &g.Stage, &g.Percent, &g.Begun, &g.Due, &g.Note, &g.Version, &g.MadeBy, (*store.Milli)(&g.Made))
		all = append(all, g)
		return err
	}, "SELECT id, sector, area, kind, stage, percent, begun, due, note, version, made_by, made FROM targets WHERE "+where+" ORDER BY due, id", args...)
	if err != nil {
		return nil, fmt.Errorf("progress: targets: %w", err)
	}
	return all, nil
}

// MoveTarget says another share and day. seen is the target as it was read: if
// somebody has changed it meanwhile the error is [qrgate.ErrConflict].
func (p *Progress) MoveTarget(ctx context.Context, by string, seen *Target, percent int, due qrgate.Day) error {
	if percent < 1 || percent > 100 || due <= seen.Begun {
		return fmt.Errorf("progress: move target: %w", qrgate.ErrInvalid)
	}
	return p.change(ctx, by, "move target", targetObject(seen.ID), fmt.Sprintf("%d%% by %s", percent, due),
		"UPDATE targets SET percent = ?, due = ?, version = version + 1 WHERE id = ? AND version = ?", percent, int64(due), seen.ID, seen.Version)
}

// DropTarget ends a target. The errors are those of [Progress.MoveTarget].
func (p *Progress) DropTarget(ctx context.Context, by string, seen *Target) error {
	return p.change(ctx, by, "drop target", targetObject(seen.ID), "", "DELETE FROM targets WHERE id = ? AND version = ?", seen.ID, seen.Version)
}
