// Package releases is the server's side of the kiosks' updates: the repository of
// signed programs, and which kiosk shall run which of them when.
//
// A repository is a folder, of the same form where releases are signed and where a
// server serves them:
//
//	1.root.json, 2.root.json ...   who may sign what; two of three root keys each
//	3.targets.json ...             the releases that may run; two of three targets keys
//	targets/HASH.NAME              programs
//	draft.root.json, draft.targets.json   what is not signed enough yet
//
// The three keepers' keys never come to a server. A server has one key, of the roles
// that only say what is newest (snapshot and timestamp), derived from its master key;
// it signs them when they are asked for, for a few days each, and says the same at
// the same hour on every server. So a server that was broken into can withhold an
// update for a week, and can let nothing run that two keepers have not signed.
//
//	err := releases.Init(dir, online, places, now)            // on a machine without network
//	draft, err := releases.Open(dir); err = draft.Add(...)
//	left, err := draft.Sign(keyFile)                          // two keepers, one after the other
//	held, err := releases.Publish(dir, served, online, now)   // on the server
//	site, err := releases.NewSite(served, key, now)           // which then serves it
//
// A roll-out sends one release to a growing share of the kiosks, and stops by itself
// when too many of them return from it or fall silent. Its rules, [Rollout.Step] and
// [Rollout.Wants], are pure; [Job] runs them. SQL is package store/releases' matter,
// pages are package portal/release's. Signatures, thresholds and expiry are go-tuf's.
package releases
