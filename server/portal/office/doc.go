// Package office is the pages that hold the portal together: the first page, the
// guide, difficulties and who answers them, accounts and their roles, the audit
// rows.
//
//	o := office.New(f, reg)
//	routes = append(routes, o.Routes()...)
//
// The promise: officers see the difficulties of their sectors and areas and no
// others; nobody takes the last administrator, and no account gets two roles that
// must not meet; who may read audit rows reads all, administrators only their own
// and those of settings.
//
// What happens to a difficulty or a role, and what is refused, is package
// register's matter. Pictures in the guide are made by the tests in a browser: a
// step without one is shown without one.
package office
