package broker

import (
	"context"
	"log/slog"
	"strings"
)

// A quiet handler keeps payloads and passwords out of the log: mochi hands
// whole packets to its logger as attributes. Only attributes that are known to
// be harmless pass, as text that is cut; so a new release can add none. What
// mochi tells of itself is for debugging.
type quiet struct {
	slog.Handler
}

var harmless = map[string]bool{"error": true, "client": true, "listener": true, "remote": true, "version": true, "address": true, "protocol": true}

func level(l slog.Level) slog.Level {
	if l == slog.LevelInfo {
		return slog.LevelDebug
	}
	return l
}

// Enabled reports whether a line of this level is wanted.
func (q *quiet) Enabled(ctx context.Context, l slog.Level) bool {
	return q.Handler.Enabled(ctx, level(l))
}

// Handle writes what is harmless of r.
func (q *quiet) Handle(ctx context.Context, r slog.Record) error {
	out := slog.NewRecord(r.Time, level(r.Level), "mqtt: "+clip(r.Message), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		out.AddAttrs(keep([]slog.Attr{a})...)
		return true
	})
	return q.Handler.Handle(ctx, out)
}

// WithAttrs keeps what is harmless of attrs.
func (q *quiet) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &quiet{q.Handler.WithAttrs(keep(attrs))}
}

// WithGroup opens a group.
func (q *quiet) WithGroup(name string) slog.Handler { return &quiet{q.Handler.WithGroup(name)} }

func keep(attrs []slog.Attr) []slog.Attr {
	var kept []slog.Attr
	for _, a := range attrs {
		if harmless[a.Key] && a.Value.Kind() != slog.KindGroup {
			kept = append(kept, slog.String(a.Key, clip(a.Value.String())))
		}
	}
	return kept
}

// clip cuts text that a client chose.
func clip(s string) string {
	const most = 200
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
