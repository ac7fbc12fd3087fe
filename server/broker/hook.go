package broker

import (
	"bytes"
	"context"
	"errors"
	"sync/atomic"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/qrgate/qrgate/server/enrol"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/sync/wire"
)

// A hook is where mochi asks the Broker.
type hook struct {
	mqtt.HookBase
	b *Broker
}

var provided = []byte{
	mqtt.OnConnect, mqtt.OnConnectAuthenticate, mqtt.OnACLCheck,
	mqtt.OnPublish, mqtt.OnSubscribe, mqtt.OnPublishDropped,
}

func (h *hook) ID() string           { return "qrgate" }
func (h *hook) Provides(m byte) bool { return bytes.IndexByte(provided, m) >= 0 }

// OnConnectAuthenticate lets in whom OnConnect did, which can say why not.
func (h *hook) OnConnectAuthenticate(*mqtt.Client, packets.Packet) bool { return true }

// OnConnect decides whether the client may act under its name, and ends the
// connection that does so already.
func (h *hook) OnConnect(cl *mqtt.Client, pk packets.Packet) error {
	c := cl.Net.Conn.(*conn)
	keepAlive := time.Duration(pk.Connect.Keepalive) * time.Second
	switch {
	case pk.ProtocolVersion != 4:
		// MQTT 5 has delayed wills, topic aliases and session expiry, each of
		// which would need a guard of its own.
		return h.refuse(cl, packets.ErrUnsupportedProtocolVersion, "not MQTT 3.1.1")
	case pk.Connect.ClientIdentifier != c.id:
		return h.refuse(cl, packets.ErrClientIdentifierNotValid, "client id is not the certificate's name")
	case keepAlive == 0 || keepAlive > MaxKeepAlive:
		return h.refuse(cl, packets.ErrBadUsernameOrPassword, "keep-alive out of range")
	case pk.Connect.WillFlag && !willAllowed(c, pk.Connect):
		return h.refuse(cl, packets.ErrBadUsernameOrPassword, "last will is not the kiosk's own status")
	}
	if c.role == enrol.RoleKiosk {
		// A database takes much stack, which would stay with the connection.
		type answer struct {
			code packets.Code
			why  string
		}
		asked := make(chan answer, 1)
		go func() {
			code, why := h.ask(c)
			asked <- answer{code, why}
		}()
		if a := <-asked; a.why != "" {
			return h.refuse(cl, a.code, a.why)
		}
	}
	if !h.b.take(c) {
		return h.refuse(cl, packets.ErrServerUnavailable, "the name's last connection does not end")
	}
	cl.Properties.Clean = true // whatever the client asked for, its session ends with it
	return nil
}

// willAllowed is needed because mochi does not ask its ACL for wills.
func willAllowed(c *conn, p packets.ConnectParams) bool {
	return c.role == enrol.RoleKiosk && p.WillTopic == wire.Topic(c.id, wire.Status) &&
		p.WillRetain && p.WillQos <= 1 && len(p.WillPayload) <= wire.MaxStatus
}

// ask returns why a kiosk may not connect, or "".
func (h *hook) ask(c *conn) (packets.Code, string) {
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	k, err := h.b.auth.Kiosk(ctx, c.id)
	switch {
	case errors.Is(err, qrgate.ErrNotFound):
		return packets.ErrBadUsernameOrPassword, "unknown kiosk"
	case err != nil:
		h.b.log.Error("authorizer failed", "client", c.id, "err", err)
		return packets.ErrServerUnavailable, "authorizer failed"
	case k.State != qrgate.KioskActive:
		return packets.ErrBadUsernameOrPassword, "kiosk is " + k.State.String()
	case !bytes.Equal(k.Public, c.key):
		// A kiosk that was enrolled again; the old key may be in a thief's hands.
		return packets.ErrBadUsernameOrPassword, "certificate of another key"
	}
	return packets.CodeSuccess, ""
}

// refuse answers CONNECT. Code is one that mochi translates to MQTT 3.1.1, where
// ErrBadUsernameOrPassword becomes "not authorized".
func (h *hook) refuse(cl *mqtt.Client, code packets.Code, why string) error {
	h.b.count.connect.Add(1)
	c := cl.Net.Conn.(*conn)
	h.b.log.Warn("connect refused", "client", c.id, "remote", c.addr, "reason", why)
	if err := h.b.server.SendConnack(cl, code, false, nil); err != nil {
		return err
	}
	return code
}

// take makes c the one connection of its name and waits for the last to be
// forgotten. In mochi's own take-over the old connection's clean-up now and then
// (once in some hundred times) deletes the new client, which then hears nothing.
func (b *Broker) take(c *conn) bool {
	b.mu.Lock()
	old := b.live[c.id]
	b.live[c.id] = c
	b.mu.Unlock()
	if old == nil {
		return true
	}
	b.count.takeovers.Add(1)
	b.log.Info("connection taken over", "client", c.id, "from", old.addr, "by", c.addr)
	b.options.Takeover(c.id)
	old.kill()
	timeout := time.NewTimer(takeTimeout)
	defer timeout.Stop()
	select {
	case <-old.done:
		return true
	case <-timeout.C:
		return false
	}
}

// OnACLCheck is asked for each topic published, each filter subscribed to, and
// each message delivered.
func (h *hook) OnACLCheck(cl *mqtt.Client, topic string, write bool) bool {
	c := cl.Net.Conn.(*conn)
	if allowed(c.role, c.id, topic, write) {
		return true
	}
	if write {
		h.b.count.publish.Add(1)
		h.warn(c, "publish refused", topic)
	} else {
		h.b.count.subscribe.Add(1)
		h.warn(c, "subscribe refused", topic)
	}
	return false
}

// warn says once per connection what it is that a client may not do.
func (h *hook) warn(c *conn, message, topic string) {
	if !c.warned.Swap(true) {
		h.b.log.Warn(message, "client", c.id, "topic", clip(topic))
	}
}

// OnPublish ends a connection that publishes what the topic may not hold. Other
// errors than ErrRejectPacket would let the message pass.
func (h *hook) OnPublish(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	c := cl.Net.Conn.(*conn)
	if len(pk.Payload) <= wire.MaxMessage && (!pk.FixedHeader.Retain || mayRetain(pk.TopicName, len(pk.Payload))) {
		return pk, nil
	}
	h.b.count.publish.Add(1)
	h.warn(c, "publish refused: size or retain", pk.TopicName)
	c.kill()
	return pk, packets.ErrRejectPacket
}

// OnSubscribe prepares a subscription.
func (h *hook) OnSubscribe(cl *mqtt.Client, pk packets.Packet) packets.Packet {
	// mochi refuses a SUBSCRIBE whose packet id a message of its own is using.
	// The two are unrelated in MQTT, and no session here will need the message.
	if cl.State.Inflight.Delete(pk.PacketID) {
		atomic.AddInt64(&h.b.server.Info.Inflight, -1)
	}
	if cl.Net.Conn.(*conn).role == enrol.RoleServer {
		// Receipts cover what a worker loses; an acknowledgement for each message
		// would only bound how many can be on their way.
		for i := range pk.Filters {
			pk.Filters[i].Qos = 0
		}
	}
	return pk
}

// OnPublishDropped is called in the publisher's goroutine when a client's queue
// is full. A kiosk loses the message. A worker of the server, to whom all
// kiosks publish, gets it all the same, at the pace at which it reads: the
// publisher waits.
func (h *hook) OnPublishDropped(cl *mqtt.Client, pk packets.Packet) {
	if cl.Net.Conn.(*conn).role == enrol.RoleServer {
		pk = pk.Copy(false)
		pk.FixedHeader.Qos, pk.FixedHeader.Retain, pk.FixedHeader.Dup = 0, false, false
		if cl.WritePacket(pk) == nil {
			return
		}
	}
	h.b.count.dropped.Add(1)
}
