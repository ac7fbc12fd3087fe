// Package account is the pages with which people make an account, sign in, show
// a second factor, get in again after they forgot something, and look after what
// is theirs.
//
//	a, err := account.New(f, account.Options{Register: reg, Key: master.Derive, Mail: sender, Providers: providers})
//	routes = append(routes, a.Routes()...)
//
// The promise: neither words nor status nor time of an answer tells whether a
// user name exists to somebody who does not hold its password, but for the page
// that makes accounts, on which names are few to each network, and for staff who
// help; nothing is hashed before the limit on tries; and whoever has a second
// factor is not signed in without it, by whichever way.
//
// How an account is proved:
//
//	password, or an account of another system      then, if it has one,
//	                                               the second factor or a recovery code
//	recovery code, where there is no second factor  chooses a new password
//	link by e-mail, one-time code from staff        choose a new password
//
// A printed recovery code stands for the phone and not for the password, where
// there is a second factor: a sheet of paper alone never opens an account that
// is worth more. The pages that need a role say so themselves (package page);
// an account that holds one beyond an organisation and has no second factor is
// led here to make one.
//
// Between the two factors the browser's session says whose password was right;
// a second factor that is being set up, and who came from another system, wait in
// it too, sealed or without anything secret.
//
// Left out: who holds which role (package office), organisations (package org),
// how passwords, codes and tokens are made and compared (package signin), SQL
// (package register).
package account
