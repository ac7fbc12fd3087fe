package mqttlink_test

import (
	"context"
	"net"
	"testing"

	"github.com/qrgate/qrgate/sync/wire"
)

// One subscription brings what several ask for, also what was retained before, after
// each connection and when somebody asks late; and nothing comes twice.
func covered(t *testing.T, b *broker) {
	keys, receipt, list := wire.Topic(kiosk, wire.DownKeys), wire.Topic(kiosk, wire.DownReceipt), wire.Topic(kiosk, wire.DownList)
	server := run(t, b.options(t, "server-1"))
	receive(t, server.up, "server")
	if err := server.Publish(t.Context(), keys, []byte("retained"), true); err != nil {
		t.Fatal(err)
	}
	o := b.options(t, kiosk)
	o.Cover = wire.DownFilter(kiosk)
	asked := make(chan struct{})
	o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		<-asked
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	c := run(t, o)
	gotKeys, gotReceipt := c.listen(t, keys), c.listen(t, receipt)
	close(asked)
	receive(t, c.up, "up")
	if m := receive(t, gotKeys, "retained message"); m.payload != "retained" {
		t.Errorf("received %q, want what was retained", m.payload)
	}
	ctx, stop := context.WithCancel(t.Context())
	gotList := make(chan message, 8)
	if err := c.Subscribe(ctx, list, func(topic string, b []byte) { gotList <- message{topic, string(b)} }); err != nil { // late
		t.Fatal(err)
	}
	for round := range 2 {
		for _, topic := range []string{receipt, list} {
			server.send(t, topic, topic)
		}
		if m := receive(t, gotReceipt, "receipt"); m.payload != receipt {
			t.Errorf("received %q", m.payload)
		}
		if m := receive(t, gotList, "list"); m.payload != list {
			t.Errorf("received %q", m.payload)
		}
		if round == 0 {
			b.stop()
			receive(t, c.down, "down")
			receive(t, server.down, "server down")
			b.start()
			receive(t, c.up, "up again")
			receive(t, server.up, "server up again")
		}
	}
	stop()
	server.send(t, list, "to nobody")
	server.send(t, receipt, "last")
	if m := receive(t, gotReceipt, "receipt"); m.payload != "last" {
		t.Errorf("received %q, want the last: something came twice", m.payload)
	}
}
