package main

import (
	"path/filepath"
	"strings"
	"time"

	"github.com/qrgate/qrgate/server/retention"
)

type rawRetention struct {
	Days       int
	Backups    string
	BackupDays int `toml:"backup_days"`
	Logs       string
	Copies     []string
	Keys       string
}

func (r *rawRetention) parse(c *Config, bad func(format string, args ...any)) {
	if r.Days < 1 || r.Days > retention.MaxDays {
		bad("retention.days: must be 1 to %d, not %d", retention.MaxDays, r.Days)
	}
	if r.BackupDays < 1 || r.BackupDays > retention.MaxDays {
		bad("retention.backup_days: must be 1 to %d, not %d", retention.MaxDays, r.BackupDays)
	}
	for key, dir := range map[string]string{"retention.backups": r.Backups, "retention.logs": r.Logs, "retention.keys": r.Keys} {
		if dir != "" && !filepath.IsAbs(dir) {
			bad("%s: must be an absolute path, not %q", key, dir)
		}
	}
	for _, name := range r.Copies {
		if name == "" || strings.ContainsAny(name, " \t\r\n\x00") {
			bad("retention.copies: %q is no name of one word", name)
		}
		if name == retention.KeysCopy {
			bad("retention.copies: %q is what the copies of keys are called", name)
		}
	}
	c.Retention = time.Duration(r.Days) * 24 * time.Hour
	c.BackupDays, c.Backups, c.Logs, c.KeyCopies = r.BackupDays, r.Backups, r.Logs, r.Keys
	c.Copies = append(c.Copies, r.Copies...)
}

// days returns how long check-ins are kept.
func (c Config) days() int { return int(c.Retention / (24 * time.Hour)) }
