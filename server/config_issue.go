package main

import (
	"path/filepath"

	"github.com/qrgate/qrgate/server/store/issuing"
	"github.com/qrgate/qrgate/sync/wire"
)

// An issueConfig says where the keys of cards and passes are, and how much may be
// signed.
type issueConfig struct {
	Keys   string // folder of their own; empty while they are among the other keys
	Master string // file of the master key that wraps them
	Quota  issuing.Limits
}

// limits are the quotas of every day.
func (c issueConfig) limits() map[wire.Purpose]issuing.Limits {
	return map[wire.Purpose]issuing.Limits{wire.ForCard: c.Quota, wire.ForEvent: c.Quota}
}

type rawIssue struct {
	Keys, Master string
	Batch, Day   int
}

// defaultIssue is what [issue] says when it says nothing.
var defaultIssue = rawIssue{Batch: 10_000, Day: 20_000}

func (r *rawIssue) parse(c *Config, bad func(format string, args ...any)) {
	for key, n := range map[string]int{"issue.batch": r.Batch, "issue.day": r.Day} {
		if n < 1 || n > issuing.MaxQuota {
			bad("%s: must be 1 to %d, not %d", key, issuing.MaxQuota, n)
		}
	}
	if (r.Keys == "") != (r.Master == "") {
		bad("issue: keys and master go together")
	}
	for key, path := range map[string]string{"issue.keys": r.Keys, "issue.master": r.Master} {
		if path != "" && !filepath.IsAbs(path) {
			bad("%s: must be an absolute path, not %q", key, path)
		}
	}
	c.Issue = issueConfig{r.Keys, r.Master, issuing.Limits{Batch: r.Batch, Day: r.Day}}
}
