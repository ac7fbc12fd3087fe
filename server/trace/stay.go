package trace

import (
	"context"

	"github.com/qrgate/qrgate/server/qrgate"
)

func (t *Tracer) stays(ctx context.Context, person qrgate.Person, from, to qrgate.Day, rules Rules) ([]Stay, error) {
	return nil, nil
}

func (t *Tracer) visitors(ctx context.Context, at qrgate.Spot, from, to int64, rules Rules) ([]Stay, error) {
	return nil, nil
}
func (t *Tracer) contacts(ctx context.Context, stays []Stay, profile Profile, rules Rules) (Found, error) {
	return Found{}, nil
}
