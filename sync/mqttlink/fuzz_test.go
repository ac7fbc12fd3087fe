package mqttlink_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/qrgate/qrgate/sync/mqttlink"
)

// FuzzBroker lets a broker say anything once it has accepted a client. The link
// must not panic, and must end.
func FuzzBroker(f *testing.F) {
	f.Add([]byte{0x20, 2, 0, 0, 0xd0, 0})
	f.Add([]byte{0x20, 2, 0, 0, 0x30, 7, 0, 3, 'a', '/', 'b', 'h', 'i'})
	f.Add([]byte{0x20, 2, 0, 0, 0x90, 3, 0, 1, 0x80})
	f.Add([]byte{0x20, 2, 0, 5})
	f.Add([]byte{0x20, 2, 0, 0, 0x30, 0xff, 0xff, 0xff, 0x7f})
	f.Add([]byte{0x20, 2, 0, 0, 0x90, 4, 0, 1, 1, 1}) // two answers to one subscription
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { ln.Close() })
	say := make(chan []byte)
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			conn.Read(make([]byte, 512)) // CONNECT
			conn.Write(<-say)
			conn.Close()
		}
	}()
	var links sync.WaitGroup // a link whose broker fell silent ends seconds later
	f.Cleanup(links.Wait)
	f.Fuzz(func(t *testing.T, b []byte) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		ended := make(chan struct{}, 1)
		l, err := mqttlink.New(mqttlink.Options{
			URL: "mqtt://" + ln.Addr().String(), ClientID: kiosk, Backoff: time.Hour, Timeout: time.Second,
			OnDown: func(error) { ended <- struct{}{} },
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Subscribe(ctx, "#", func(string, []byte) {}); err != nil {
			t.Fatal(err)
		}
		links.Go(func() { l.Run(ctx) })
		say <- b
		select {
		case <-ended:
		case <-time.After(20 * time.Millisecond): // refused
		}
	})
}
