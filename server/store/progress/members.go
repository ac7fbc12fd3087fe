package progress

import (
	"context"
	"database/sql"
	"fmt"
)

// Owners returns whose the places are that a query asks for, by place.
func (p *Progress) Owners(ctx context.Context, q Query) (map[uint32]string, error) {
	where := q.condition(ofPlaces)
	where.add("p.deleted IS NULL")
	owners := map[uint32]string{}
	err := p.s.Read(ctx, func(rows *sql.Rows) error {
		var no uint32
		var organisation string
		err := rows.Scan(&no, &organisation)
		owners[no] = organisation
		return err
	}, "SELECT p.no, p.organisation FROM places p WHERE "+where.String(), where.args...)
	if err != nil {
		return nil, fmt.Errorf("progress: owners: %w", err)
	}
	return owners, nil
}
