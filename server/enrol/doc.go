// Package enrol decides which keys kiosks and servers trust: the server's own
// keys and the root-signed list of them, the small certificate authority, and
// the bundle of files that makes a kiosk one of ours.
//
//	err := enrol.Init(dir, master, rootPath, now)  // once; rootPath leaves the server
//	keys, err := enrol.Load(dir, master)
//	ca, err := keys.CA()
//	bundle, err := keys.NewBundle(ca, "kiosk-0001", now)
//	err = bundle.Write("identity")
//
// The promise: the key that signs the list of keys is never needed by a running
// server, so whoever takes the server over cannot make kiosks trust new keys.
//
// # A kiosk's identity directory
//
//	kiosk.key  its Ed25519 private key, PKCS#8 in PEM, mode 0600; signs its
//	           batches and beats and is the key of its certificate
//	kiosk.pem  its client certificate: CN = kiosk id, OU = "kiosk", 90 days
//	ca.pem     the CA certificate (P-256) that it alone trusts for TLS
//	keys.cbor  the signed wire.KeyList, see wire.OpenKeyList
//	root.pub   the root's Ed25519 public key, PKIX in PEM, which verifies
//	           keys.cbor
//
// # Certificates
//
// A client certificate carries the holder's name as CN and its [Role] as OU. A
// name that begins with [ServerPrefix] is a server's, every other a kiosk's, so
// that a broker which sees only the CN can tell them apart. Certificates begin
// a year before they are made, because kiosk clocks are wrong; being revoked is
// a matter of the kiosk's row, not of a list of certificates.
//
// Left out: tokens, QR codes and the portal's side of enrolment.
package enrol
