package stage

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// StartMosquitto runs Debian's Mosquitto at addr with the files ca.pem,
// server.pem, server.key, revoked.crl and qrgate.acl in dir, as package broker's
// documentation says, and returns when it listens. Its process number is in
// mosquitto.pid there. stop ends it.
func StartMosquitto(dir, addr string, log io.Writer) (stop func(), err error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	conf := fmt.Sprintf(`listener %s %s
cafile %[3]s/ca.pem
certfile %[3]s/server.pem
keyfile %[3]s/server.key
tls_version tlsv1.3
require_certificate true
use_identity_as_username true
use_username_as_clientid true
allow_anonymous false
crlfile %[3]s/revoked.crl
pid_file %[3]s/mosquitto.pid
acl_file %[3]s/qrgate.acl
message_size_limit 131072
user root
`, port, host, dir)
	path := filepath.Join(dir, "mosquitto.conf")
	if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.Command("/usr/sbin/mosquitto", "-c", path)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("mosquitto: %w; install Debian's package mosquitto", err)
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	stop = func() { cmd.Process.Kill(); <-ended }
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
			return stop, nil
		}
		select {
		case <-ended:
			return nil, fmt.Errorf("mosquitto ended at once: %s", cmd.ProcessState)
		default:
		}
		if time.Now().After(end) {
			stop()
			return nil, fmt.Errorf("mosquitto does not listen: %w", err)
		}
	}
}
