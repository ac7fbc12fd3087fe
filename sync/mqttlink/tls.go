package mqttlink

import (
	"crypto/tls"
	"crypto/x509"
	"time"
)

// ClientTLS returns the TLS settings of a client that trusts roots and nothing
// else: TLS 1.3, the server's certificate checked for serverName at the time
// now. certificate is asked at every handshake, so a renewed one is used from
// the next connection on. A kiosk's now is the later of its time floor and its
// roots' NotBefore, so that a clock of 1970 does not cut it off.
func ClientTLS(roots *x509.CertPool, serverName string, certificate func() (*tls.Certificate, error), now func() time.Time) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		RootCAs:    roots,
		ServerName: serverName,
		Time:       now,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return certificate()
		},
	}
}
