package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/qrgate/qrgate/server/store"
)

// configure writes a desk's configuration anew.
func (d desk) configure(format string, args ...any) {
	d.Helper()
	text := fmt.Sprintf("state = %q\n", filepath.Join(d.dir, "state")) + fmt.Sprintf(format, args...)
	if err := os.WriteFile(d.config, []byte(text), 0o600); err != nil {
		d.Fatal(err)
	}
}

func (d desk) kiosk(id string) (dir string) {
	d.Helper()
	dir = filepath.Join(d.dir, id)
	d.must("kiosk", "add", id, "-place", "Chợ Đông Ba", "-out", dir)
	return dir
}

// connects returns how a kiosk's connection to a broker went.
func (d desk) connects(addr, id, dir string) error {
	d.Helper()
	cert, err := tls.LoadX509KeyPair(filepath.Join(dir, "kiosk.pem"), filepath.Join(dir, "kiosk.key"))
	if err != nil {
		d.Fatal(err)
	}
	ca, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		d.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	o := paho.NewClientOptions().AddBroker("tls://" + addr).SetClientID(id).SetProtocolVersion(4).SetAutoReconnect(false).SetConnectTimeout(20 * time.Second).
		SetTLSConfig(&tls.Config{RootCAs: roots, ServerName: "127.0.0.1", Certificates: []tls.Certificate{cert}})
	c := paho.NewClient(o)
	defer c.Disconnect(0)
	token := c.Connect()
	token.Wait()
	return token.Error()
}

// lists reports whether a list of revoked certificates holds a kiosk's.
func (d desk) lists(list, dir string) bool {
	d.Helper()
	block := func(path string) []byte {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil
		}
		b, _ := pem.Decode(text)
		return b.Bytes
	}
	cert, err := x509.ParseCertificate(block(filepath.Join(dir, "kiosk.pem")))
	if err != nil {
		d.Fatal(err)
	}
	l, err := x509.ParseRevocationList(block(list))
	if err != nil {
		return false
	}
	for _, e := range l.RevokedCertificateEntries {
		if e.SerialNumber.Cmp(cert.SerialNumber) == 0 {
			return true
		}
	}
	return false
}

// A stolen kiosk that was revoked after a backup stays out when that backup is
// restored: of this server's broker, and of another one, by its list; also one that the
// backup has never heard of, whose certificate is as good as any.
func TestRestoreLetsNoRevokedKioskIn(t *testing.T) {
	d := newDesk(t)
	d.must("init")
	honest, stolen := d.kiosk("kiosk-0001"), d.kiosk("kiosk-0002")
	backup := filepath.Join(d.dir, "backup")
	d.must("backup", backup)
	later := d.kiosk("kiosk-0003")
	d.must("kiosk", "revoke", "kiosk-0002", "kiosk-0003")

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	d.configure("[store]\ndsn = %q\n[broker]\nlisten = %q\n[portal]\nlisten = \"127.0.0.1:0\"\n[metrics]\nlisten = \"\"\n", "sqlite:"+filepath.Join(d.dir, "new.db"), addr)
	if out := d.must("restore", backup); !strings.Contains(out, "kiosk-0002 was revoked after this backup and stays revoked") {
		t.Errorf("restore printed %q", out)
	}

	ctx, cancel := context.WithCancel(t.Context())
	var errs bytes.Buffer
	done := make(chan int, 1)
	go func() { done <- run(ctx, []string{"serve", "-config", d.config}, io.Discard, &errs) }()
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		err := d.connects(addr, "kiosk-0001", honest)
		if err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("a kiosk that may connect does not: %v", err)
		}
	}
	for id, dir := range map[string]string{"kiosk-0002": stolen, "kiosk-0003": later} {
		if err := d.connects(addr, id, dir); err == nil {
			t.Errorf("%s was revoked, and connects", id)
		}
	}
	cancel()
	if code := <-done; code != exitOK {
		t.Errorf("serve: exit status %d: %s", code, errs.String())
	}

	c, err := readConfig(d.config)
	if err != nil {
		t.Fatal(err)
	}
	_, _, ca, err := loadKeys(c)
	if err != nil {
		t.Fatal(err)
	}
	err = withStore(t.Context(), c, func(s *store.Store) error {
		env := environment{config: c, log: slog.New(slog.DiscardHandler)}
		e := &enrolling{rows: enrolments(c, s), s: s, env: env}
		if err := e.keep(t.Context()); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		done := make(chan error, 1)
		go func() { done <- e.keepOut(ctx, ca) }()
		for !d.lists(c.revokedList(), stolen) && ctx.Err() == nil {
			time.Sleep(20 * time.Millisecond)
		}
		cancel()
		return <-done
	})
	if err != nil {
		t.Fatal(err)
	}
	for id, dir := range map[string]string{"kiosk-0002": stolen, "kiosk-0003": later} {
		if !d.lists(c.revokedList(), dir) {
			t.Errorf("the list that another broker reads lacks %s", id)
		}
	}
	if d.lists(c.revokedList(), honest) {
		t.Error("the list that another broker reads has a kiosk that was not revoked")
	}
}
