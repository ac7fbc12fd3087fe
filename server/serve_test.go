package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// narrow accepts connections that hold little of what nobody reads.
type narrow struct{ net.Listener }

func (n narrow) Accept() (net.Conn, error) {
	c, err := n.Listener.Accept()
	if err == nil {
		err = c.(*net.TCPConn).SetWriteBuffer(4096)
	}
	return c, err
}

// ask serves h, asks for its answer and returns where that arrives, which holds about
// as many bytes as buffer says.
func ask(t *testing.T, h http.HandlerFunc, each time.Duration, buffer int) io.Reader {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: patient{h, each}}
	go server.Serve(narrow{l})
	t.Cleanup(func() { server.Close() })
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.(*net.TCPConn).SetReadBuffer(buffer); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(c, "GET / HTTP/1.0\r\n\r\n")
	return c
}

const large = 16 << 20 // more than all buffers on the way

func TestAnswerThatNobodyReadsEnds(t *testing.T) {
	for name, write := range map[string]func(w http.ResponseWriter) error{
		"at once": func(w http.ResponseWriter) error { _, err := w.Write(make([]byte, large)); return err },
		"copied":  func(w http.ResponseWriter) error { _, err := io.CopyN(w, zeros{}, large); return err },
		"a stream that sets its own": func(w http.ResponseWriter) error {
			if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
				return err
			}
			_, err := w.Write(make([]byte, large))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			each := 50 * time.Millisecond
			if name == "a stream that sets its own" {
				each = time.Hour
			}
			ended := make(chan error, 1)
			ask(t, func(w http.ResponseWriter, _ *http.Request) { ended <- write(w) }, each, 4096)
			select {
			case err := <-ended:
				if !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("the answer ends with %v, want that its time is over", err)
				}
			case <-time.After(time.Minute):
				t.Error("after a minute the answer still waits for who does not read")
			}
		})
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// Who reads slowly has all of an answer in the end, however short the time for each
// piece is beside the whole.
func TestSlowReaderGetsTheWholeAnswer(t *testing.T) {
	const size, each = 2 << 20, 2 * time.Second
	began := time.Now()
	in := bufio.NewReader(ask(t, func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, size)) }, each, writeMost))
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	read := int64(0)
	for {
		n, err := io.CopyN(io.Discard, resp.Body, size/16)
		if read += n; err != nil {
			break
		}
		time.Sleep(each / 10) // what is slow here is the reader
	}
	if took := time.Since(began); read != size || took < each {
		t.Errorf("a slow reader had %d bytes of %d after %v, want all of them after more than %v", read, size, took, each)
	}
}

// Whoever reads why a server does not start learns which setting names the address.
func TestAddressThatAnotherHasIsNamedBySetting(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := l.Addr().String()
	for setting, c := range map[string]Config{
		"portal.listen": {Portal: taken}, "metrics.listen": {Portal: "127.0.0.1:0", Metrics: taken}, "portal.redirect": {Redirect: taken},
	} {
		if _, err := listen(c); err == nil || !strings.HasPrefix(err.Error(), setting+": ") || !strings.Contains(err.Error(), taken) {
			t.Errorf("listen to an address that is taken: %v, want %s named", err, setting)
		}
	}
}
