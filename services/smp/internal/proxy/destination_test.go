package proxy

import (
	"net/netip"
	"testing"

	"sotto/shared/smp"
)

func TestPublic(t *testing.T) {
	for text, want := range map[string]bool{
		"1.1.1.1": true, "9.255.255.255": true, "11.0.0.0": true, "100.63.255.255": true, "100.128.0.0": true, "172.15.255.255": true,
		"172.32.0.0": true, "192.167.255.255": true, "192.169.0.0": true, "198.17.255.255": true, "198.20.0.0": true, "223.255.255.255": true,
		"0.0.0.0": false, "0.1.2.3": false, "10.0.0.1": false, "100.64.0.0": false, "100.127.255.255": false, "127.0.0.1": false,
		"127.255.255.254": false, "169.254.169.254": false, "172.16.0.1": false, "172.31.255.255": false, "192.0.0.1": false,
		"192.0.2.1": false, "192.88.99.1": false, "192.168.1.1": false, "198.18.0.1": false, "198.19.255.255": false, "198.51.100.1": false,
		"203.0.113.1": false, "224.0.0.1": false, "239.255.255.255": false, "240.0.0.1": false, "255.255.255.255": false,
		"2606:4700::1111": true, "2a01:4f8::1": true, "2001:200::1": true, "2001:4860:4860::8888": true,
		"::": false, "::1": false, "::1.1.1.1": false, "::ffff:1.1.1.1": true, "::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false,
		"::ffff:0:1.1.1.1": false, "fe80::1": false, "fe80::1%eth0": false, "fec0::1": false, "fc00::1": false, "fd00:ec2::254": false,
		"fd12:3456::1": false, "ff02::1": false, "ff0e::1": false, "100::1": false, "2001::1": false, "2001:0:0a00:1::1": false,
		"2001:2::1": false, "2001:10::1": false, "2001:20::1": false, "2001:db8::1": false, "3fff::1": false, "4000::1": false, "5f00::1": false,
		"64:ff9b::1.1.1.1": true, "64:ff9b::10.0.0.1": false, "64:ff9b::127.0.0.1": false, "64:ff9b::169.254.169.254": false,
		"64:ff9b:1::1.1.1.1": false, "2002:101:101::1": true, "2002:a00:1::1": false, "2002:7f00:1::1": false, "2002:c0a8:101::1": false,
	} {
		if got := public(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	if public(netip.Addr{}) {
		t.Error("no address is public")
	}
}

// fingerprint is that of nobody.
var fingerprint = make([]byte, 32)

const onionName = "abcdefghijklmnop234567abcdefghijklmnop234567abcdefghijkl.onion"

// server is an address with these hosts.
func server(port string, hosts ...smp.Host) smp.Server {
	return smp.Server{Fingerprint: fingerprint, Hosts: hosts, Port: port}
}

func TestDestinations(t *testing.T) {
	usual := Options{Ports: []PortRange{{443, 443}, {1024, 65535}}}
	socks, all, private, allow := usual, usual, usual, usual
	socks.Socks, all.Socks, all.SocksAll, private.AllowPrivate = "127.0.0.1:9050", "127.0.0.1:9050", true, true
	allow.Allow, allow.Domains = []string{"Example.org", "relay.example.net", "192.0.2.7"}, []string{"own.example.org."}
	for _, c := range []struct {
		options     Options
		server      smp.Server
		host        string // empty: refused
		port        uint16
		socks, owns bool
	}{
		{usual, server("", "relay.example.org"), "relay.example.org", 5223, false, false},
		{usual, server("443", "Relay.Example.org."), "relay.example.org", 443, false, false},
		{usual, server("", onionName, "relay.example.org"), "relay.example.org", 5223, false, false},
		{usual, server("", "relay.example.org", onionName, "relay.example.com"), "relay.example.org", 5223, false, false},
		{usual, server("", onionName), "", 0, false, false},
		{usual, server("", "2001:4860::1"), "2001:4860::1", 5223, false, false},
		{socks, server("", onionName), onionName, 5223, true, false},
		{socks, server("", "relay.example.org", onionName), "relay.example.org", 5223, false, false},
		{socks, server("", "X.ONION"), "x.onion", 5223, true, false},
		{usual, server("", "x.ONION"), "", 0, false, false},
		{usual, server("", "x.onion."), "", 0, false, false},
		{all, server("", "relay.example.org"), "relay.example.org", 5223, true, false},
		{all, server("", "8.8.8.8"), "8.8.8.8", 5223, true, false},
		{all, server("", "10.0.0.1"), "", 0, false, false},
		{all, server("", "localhost"), "", 0, false, false},

		{usual, server("22", "relay.example.org"), "", 0, false, false},
		{usual, server("1023", "relay.example.org"), "", 0, false, false},
		{usual, server("1024", "relay.example.org"), "relay.example.org", 1024, false, false},
		{usual, server("65536", "relay.example.org"), "", 0, false, false},
		{usual, server("0", "relay.example.org"), "", 0, false, false},
		{usual, server("-5223", "relay.example.org"), "", 0, false, false},
		{usual, server("+5223", "relay.example.org"), "", 0, false, false},
		{usual, server("https", "relay.example.org"), "", 0, false, false},
		{usual, server("5223 ", "relay.example.org"), "", 0, false, false},
		{Options{}, server("25", "relay.example.org"), "relay.example.org", 25, false, false},

		{usual, server("", "127.0.0.1"), "", 0, false, false},
		{usual, server("", "::1"), "", 0, false, false},
		{usual, server("", "::ffff:7f00:1"), "", 0, false, false},
		{usual, server("", "127.1"), "", 0, false, false},
		{usual, server("", "2130706433"), "", 0, false, false},
		{usual, server("", "0x7f000001"), "", 0, false, false},
		{usual, server("", "0x7f.0.0.0x1"), "", 0, false, false},
		{usual, server("", "postgres"), "", 0, false, false},
		{usual, server("", "localhost."), "", 0, false, false},
		{usual, server("", "db.localhost"), "", 0, false, false},
		{usual, server("", "printer.local"), "", 0, false, false},
		{usual, server("", "metadata.google.internal"), "", 0, false, false},
		{usual, server("", "fe80::1%eth0"), "", 0, false, false},
		{usual, server("", "relay..."), "", 0, false, false},
		{usual, server("", "."), "", 0, false, false},
		{usual, server("", "relay\x00.example.org"), "", 0, false, false},
		{usual, server("", "relay@example.org"), "", 0, false, false},
		{private, server("", "127.0.0.1"), "127.0.0.1", 5223, false, false},
		{private, server("", "postgres"), "postgres", 5223, false, false},
		{private, server("", "127.1"), "", 0, false, false},

		{allow, server("", "example.org"), "example.org", 5223, false, false},
		{allow, server("", "a.own.EXAMPLE.org"), "a.own.example.org", 5223, false, true},
		{allow, server("", "own.example.org"), "own.example.org", 5223, false, true},
		{allow, server("", "disown.example.org"), "disown.example.org", 5223, false, false},
		{allow, server("", "badexample.org"), "", 0, false, false},
		{allow, server("", "example.org.evil.example"), "", 0, false, false},
		{allow, server("", "relay.example.net"), "relay.example.net", 5223, false, false},
		{allow, server("", "example.net"), "", 0, false, false},
		{allow, server("", "192.0.2.7"), "", 0, false, false}, // allowed by name does not make it public
	} {
		d, err := newDialer(c.options)
		if err != nil {
			t.Fatal(err)
		}
		to, ok := d.destination(c.server)
		if ok != (c.host != "") {
			t.Errorf("%s: %v", c.server.String(), ok)
		}
		if ok && (to.host != c.host || to.port != c.port || to.socks != c.socks || to.own != c.owns) {
			t.Errorf("%s: %+v", c.server.String(), to)
		}
	}
}
