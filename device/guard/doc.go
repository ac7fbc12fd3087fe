// Package guard is the page on which whoever stands guard at a door sees and does what
// the lamps cannot say: an HTTPS page that the kiosk serves on the local network, for
// telephones that were paired with it.
//
//	g, err := guard.Open(guard.Options{Dir: "/var/lib/qrgate/guard", Listen: ":8443", ...})
//	kiosk.Door{Witness: g.Journal(), ...}
//	g.Use(guard.Station{Door: door, ...})
//	offer := g.Offer()        // on the screen or a terminal, as a QR code
//	err = g.Run(ctx)
//
// A telephone is paired by a code that carries the page's address, the certificate's
// SHA-256 and a token that works once and for three minutes. Its owner chooses a PIN then;
// without both, the telephone and the PIN, nobody sees anything. Wrong PINs close the page
// to that telephone for longer and longer, also across a restart and whatever the clock
// says.
//
// The promise: what a guard does is in the ledger before the page says so, under the same
// rules as what anybody else tells the kiosk; it works without a network; and no name is
// ever on the page or on the disk. The short code that stands under a card is shown in
// the roll call alone and is kept in memory alone: after a restart the roll call still
// says when and where people came in, which the ledger says, and that their codes are
// gone.
//
// Files, of which this package is the one writer: page.pem, the page's certificate and
// key; phones.json, the telephones and the hashes of their PINs; pair.sock, where the
// command line asks for a pairing code. All are for the kiosk's user alone.
//
// What an action does is packages kiosk's and order's; names are the server's.
package guard
