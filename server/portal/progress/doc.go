// Package progress is the pages on which departments, communes and the province see
// how far the roll-out is and do something about it: the cockpit, lists of what
// ought to register, targets, inspectors' visits and reports.
//
//	p := progress.New(f, reg, progress.New(store, now))
//	routes = append(routes, p.Routes()...)
//
// The promise: everybody sees and counts what lies in the sectors and areas of
// their roles and nothing else; numbers of people are those that package report
// publishes; a chart says nothing that a table beside it does not; a report that
// was issued says for ever what it said then.
//
// Associations have no page here: which organisations are members of one is
// nowhere written down.
package progress
