// Package api is how other systems speak with the server: JSON under /api/v1, for
// apps such as Hue-S that check in their own signed-in users.
//
//	handler := api.New(api.Options{Register: reg, Desk: ingest, Log: log})
//	mux.Handle("/api/", handler)
//
//	POST /api/v1/checkins       check-in or check-out of a signed-in user
//	GET  /api/v1/places/{code}  the place of a poster's code
//	GET  /api/openapi.json      the contract, to the last status
//
// A request carries a token (Authorization: Bearer qrg_...) that an administrator
// made for the other system. A token's system never changes, and is where the
// identities of its users live: one external id is one person, whichever of the
// system's tokens is used.
//
// The promise: openapi.json is what happens. A test asks for every status that it
// documents, finds no other, and checks every answer against its schema. What goes
// wrong is an RFC 9457 problem, always. A check-in has one effect however often it
// is sent: under one Idempotency-Key the same body gets the same answer and another
// body a conflict.
//
// No answer holds personal data, so nothing is audited here but the making and
// taking back of tokens, which package register does. Whom a check-in is of goes to
// package ingest, and is neither logged nor told to anybody.
package api
