// Package portal is what people see of the server in a browser: the one table of
// its pages.
//
//	pages := portal.New(portal.Parts{Store: s, Register: reg, Feed: feed, Log: log}, portal.Options{HelpLine: "19001075"})
//	err := (&http.Server{Handler: pages, BaseContext: untilShutdown}).Serve(l)
//
// Each subject is a package below: page is what all have in common, live the
// check-ins as they come, account who signs in, and so on. Besides pages there
// are, for machines,
//
//	GET /healthz   the process lives
//	GET /readyz    it can do its work, or 503 and why not; and whether its clock is believed
//
// The promise: whoever asks for a page is allowed by its row in the table, or
// gets none; a test asks for every row as every role. TLS and the time-outs of
// requests are the caller's.
package portal
