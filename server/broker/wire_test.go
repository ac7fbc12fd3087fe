package broker_test

import (
	"crypto/tls"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// A peer is one MQTT connection, packet by packet: what a client library would
// not send, or would mend by itself, can be sent and seen.
type peer struct {
	id    string
	conn  net.Conn
	write sync.Mutex
	heard chan *packets.PublishPacket
	acks  chan packets.ControlPacket // SUBACK, UNSUBACK, PUBACK, PINGRESP
	gone  chan struct{}
}

// An intro is what a client says of itself in CONNECT.
type intro struct {
	id      string
	keep    bool // the session
	will    string
	payload []byte
	retain  bool
}

// dialPeer connects, or returns why not.
func dialPeer(addr string, config *tls.Config, hello intro) (*peer, error) {
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: wait}, "tcp", addr, config)
	if err != nil {
		return nil, err
	}
	c := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
	c.ProtocolName, c.ProtocolVersion, c.ClientIdentifier, c.Keepalive, c.CleanSession = "MQTT", 4, hello.id, 60, !hello.keep
	if hello.will != "" {
		c.WillFlag, c.WillTopic, c.WillMessage, c.WillRetain = true, hello.will, hello.payload, hello.retain
	}
	conn.SetDeadline(time.Now().Add(wait))
	if err := c.Write(conn); err != nil {
		conn.Close()
		return nil, err
	}
	answer, err := packets.ReadPacket(conn)
	if err != nil {
		conn.Close()
		return nil, err
	}
	ack, ok := answer.(*packets.ConnackPacket)
	if !ok || ack.ReturnCode != 0 {
		conn.Close()
		return nil, fmt.Errorf("refused: %v", answer)
	}
	conn.SetDeadline(time.Time{})
	p := &peer{id: hello.id, conn: conn, heard: make(chan *packets.PublishPacket, 4096), acks: make(chan packets.ControlPacket, 16), gone: make(chan struct{})}
	go p.read()
	return p, nil
}

func (p *peer) read() {
	defer close(p.gone)
	for {
		m, err := packets.ReadPacket(p.conn)
		if err != nil {
			return
		}
		m1, ok := m.(*packets.PublishPacket)
		if !ok {
			p.acks <- m
			continue
		}
		if m1.Qos > 0 {
			ack := packets.NewControlPacket(packets.Puback).(*packets.PubackPacket)
			ack.MessageID = m1.MessageID
			p.send(ack)
		}
		p.heard <- m1
	}
}

// send writes one packet; a connection that ends meanwhile shows in gone.
func (p *peer) send(m packets.ControlPacket) {
	p.write.Lock()
	defer p.write.Unlock()
	m.Write(p.conn)
}

// ask sends a packet and returns its answer, nil if the broker hung up instead.
func (p *peer) ask(t testing.TB, m packets.ControlPacket, is func(packets.ControlPacket) bool) packets.ControlPacket {
	t.Helper()
	p.send(m)
	timeout := time.After(wait)
	for {
		select {
		case a := <-p.acks:
			if is(a) {
				return a
			}
		case <-p.gone:
			return nil
		case <-timeout:
			t.Fatalf("%s: no answer to %s", p.id, m)
		}
	}
}

// settle returns when the broker has dealt with all that was sent.
func (p *peer) settle(t testing.TB) {
	t.Helper()
	p.ask(t, packets.NewControlPacket(packets.Pingreq), func(m packets.ControlPacket) bool { _, ok := m.(*packets.PingrespPacket); return ok })
}

func (p *peer) publish(topic string, qos byte, retain bool, payload []byte) {
	m := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	m.TopicName, m.Qos, m.Retain, m.Payload, m.MessageID = topic, qos, retain, payload, 7
	p.send(m)
}

func (p *peer) subscribe(t testing.TB, filter string, qos byte) (code byte) {
	t.Helper()
	m := packets.NewControlPacket(packets.Subscribe).(*packets.SubscribePacket)
	m.Topics, m.Qoss, m.MessageID = []string{filter}, []byte{qos}, 8
	a := p.ask(t, m, func(m packets.ControlPacket) bool { _, ok := m.(*packets.SubackPacket); return ok })
	if a == nil {
		return 0x80
	}
	return a.(*packets.SubackPacket).ReturnCodes[0]
}

func (p *peer) unsubscribe(t testing.TB, filter string) {
	t.Helper()
	m := packets.NewControlPacket(packets.Unsubscribe).(*packets.UnsubscribePacket)
	m.Topics, m.MessageID = []string{filter}, 9
	p.ask(t, m, func(m packets.ControlPacket) bool { _, ok := m.(*packets.UnsubackPacket); return ok })
}

// leave says farewell, so that no will is published.
func (p *peer) leave() {
	p.send(packets.NewControlPacket(packets.Disconnect))
	p.conn.Close()
	<-p.gone
}

// drop ends the connection as a pulled cable does, but at once.
func (p *peer) drop() {
	p.conn.(*tls.Conn).NetConn().Close()
	<-p.gone
}

func (p *peer) alive() bool {
	select {
	case <-p.gone:
		return false
	default:
		return true
	}
}
