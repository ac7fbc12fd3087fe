//go:build full

package mqttlink_test

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/qrgate/qrgate/sync/wire"
)

func TestMosquitto(t *testing.T) { testLink(t, newMosquitto) }

// newMosquitto returns Debian's mosquitto with the same rules as the embedded
// broker of the other tests.
func newMosquitto(t testing.TB) *broker {
	t.Helper()
	program, err := exec.LookPath("mosquitto")
	if err != nil {
		program = "/usr/sbin/mosquitto"
	}
	b := &broker{authority: newAuthority(t), addr: freeAddr(t)}
	dir := t.TempDir()
	file := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	server := b.issue(t, "broker.test")
	key, err := x509.MarshalPKCS8PrivateKey(server.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(b.addr)
	config := file("mosquitto.conf", fmt.Appendf(nil, `listener %s 127.0.0.1
cafile %s
certfile %s
keyfile %s
tls_version tlsv1.3
require_certificate true
use_identity_as_username true
allow_anonymous false
acl_file %s
message_size_limit %d
persistence false
user root
`, port,
		file("ca.pem", pemOf("CERTIFICATE", b.cert.Raw)),
		file("cert.pem", pemOf("CERTIFICATE", server.Certificate[0])),
		file("key.pem", pemOf("PRIVATE KEY", key)),
		file("acl", []byte("pattern readwrite qrgate/#\npattern deny "+denied+"\n")),
		wire.MaxMessage))
	var cmd *exec.Cmd
	b.start = func() {
		cmd = exec.Command(program, "-c", config)
		if err := cmd.Start(); err != nil {
			t.Fatalf("start mosquitto: %v", err)
		}
		for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
			c, err := net.Dial("tcp", b.addr)
			if err == nil {
				c.Close()
				return
			}
			if time.Since(began) > 30*time.Second {
				t.Fatalf("mosquitto does not listen: %v", err)
			}
		}
	}
	b.stop = func() {
		if cmd != nil {
			cmd.Process.Kill()
			cmd.Wait()
			cmd = nil
		}
	}
	b.start()
	t.Cleanup(b.stop)
	return b
}

func pemOf(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
