// Package signin proves who somebody is, as far as that needs neither the
// database nor a page: passwords, second factors, codes, tokens, the limit on
// tries, and accounts of other systems by OpenID Connect.
//
// The promise: how long an answer takes, and what it says, tells nobody whether
// an account exists, and nothing that this package gives to be stored lets a
// reader of the database sign in.
//
// # A password
//
// The limit comes before the hash, which is what costs:
//
//	try, wait := limiter.Try(now, userName, address)
//	if wait > 0 {
//		// refuse: again in wait
//	}
//	rehash, err := hasher.Verify(ctx, account.Hash, password) // "" if there is no account
//	if err == nil {
//		try.Refund(now)
//	}
//
// An account that has a second factor then shows it:
//
//	step, err := secret.Verify(code, now, account.LastStep) // store step before letting them in
//
// or, without the phone, one of the printed recovery codes, of which the store
// keeps sums only and deletes the one that was used:
//
//	i := codes.Find(account.Recovery, typed)
//
// Verify and Find are to be called under the limiter too: six digits are
// guessed in a day by who may try a hundred times a minute.
//
// # An account of another system
//
//	url, state, err := provider.Begin(ctx, now, returnPath)
//	sealed, err := state.Seal(key)                // into a cookie: HttpOnly, Secure, SameSite=Lax
//	// ... the browser comes back ...
//	state, err := signin.OpenState(key, sealed)   // and delete the cookie
//	who, err := provider.Finish(ctx, now, state, r.URL.Query())
//
// An identity is the pair of Issuer and Subject. Its e-mail address may belong
// to somebody else at this provider tomorrow and is never what links it to an
// account.
//
// Left out: sessions and their cookies, what is stored where (package register),
// roles, sentences for people (package portal).
package signin
