package bootfile

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// A Connection is a network that NetworkManager shall have: its name, and the arguments
// of nmcli that add it.
type Connection struct {
	Name string
	Args []string
}

// Connections returns the networks of f but for Wi-Fi, which is joined as one whose code
// is shown.
func (f File) Connections() []Connection {
	var all []Connection
	add := func(name string, args ...string) {
		all = append(all, Connection{name, append([]string{"connection", "add", "con-name", name, "ifname", "*", "connection.autoconnect", "yes", "connection.autoconnect-priority", "50"}, args...)})
	}
	if f.Address.IsValid() {
		v := "ipv4"
		if f.Address.Addr().Is6() {
			v = "ipv6"
		}
		args := []string{"type", "ethernet", v + ".method", "manual", v + ".addresses", f.Address.String()}
		if f.Gateway.IsValid() {
			args = append(args, v+".gateway", f.Gateway.String())
		}
		add("qrgate-cable", append(args, dns(f.DNS)...)...)
	} else if len(f.DNS) > 0 {
		add("qrgate-cable", append([]string{"type", "ethernet"}, dns(f.DNS)...)...)
	}
	if m := f.Mobile; m.APN != "" {
		args := []string{"type", "gsm", "apn", m.APN}
		for _, o := range [][2]string{{"gsm.username", m.User}, {"gsm.password", m.Password}, {"gsm.pin", m.PIN}} {
			if o[1] != "" {
				args = append(args, o[0], o[1])
			}
		}
		add("qrgate-mobile", args...)
	}
	return all
}

// dns returns the arguments that name servers of each kind.
func dns(servers []netip.Addr) []string {
	var four, six []string
	for _, a := range servers {
		if a.Is4() {
			four = append(four, a.String())
		} else {
			six = append(six, a.String())
		}
	}
	var args []string
	if len(four) > 0 {
		args = append(args, "ipv4.dns", strings.Join(four, ","))
	}
	if len(six) > 0 {
		args = append(args, "ipv6.dns", strings.Join(six, ","))
	}
	return args
}

// Dialer returns what opens connections through a proxy by CONNECT, nil for none.
func Dialer(proxy *url.URL) func(ctx context.Context, network, address string) (net.Conn, error) {
	if proxy == nil {
		return nil
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, proxy.Host)
		if err != nil {
			return nil, fmt.Errorf("bootfile: proxy: %w", err)
		}
		stop := context.AfterFunc(ctx, func() { c.Close() })
		conn, err := connect(c, proxy, address)
		if !stop() && err == nil {
			err = ctx.Err()
		}
		if err != nil {
			c.Close()
			return nil, fmt.Errorf("bootfile: proxy: %w", err)
		}
		return conn, nil
	}
}

func connect(c net.Conn, proxy *url.URL, address string) (net.Conn, error) {
	r := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: address}, Host: address, Header: http.Header{}}
	if u := proxy.User; u != nil {
		password, _ := u.Password()
		r.Header.Set("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(u.Username()+":"+password)))
	}
	if err := r.Write(c); err != nil {
		return nil, err
	}
	in := bufio.NewReader(c)
	resp, err := http.ReadResponse(in, r)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answers %s", resp.Status)
	}
	if in.Buffered() > 0 { // the server speaks first in no protocol of ours
		return nil, errors.New("it sends more than an answer")
	}
	return c, nil
}
