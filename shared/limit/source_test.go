package limit

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
)

func of(t *testing.T, text string) Source {
	t.Helper()
	ip := net.ParseIP(text)
	if ip == nil {
		t.Fatalf("%s is no address", text)
	}
	return Of(&net.TCPAddr{IP: ip, Port: 1})
}

func TestSameSource(t *testing.T) {
	for _, pair := range [][2]string{
		{"192.0.2.1", "192.0.2.1"},
		{"192.0.2.1", "::ffff:192.0.2.1"},
		{"192.0.2.1", "64:ff9b::192.0.2.1"},
		{"2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"},
	} {
		if a, b := of(t, pair[0]), of(t, pair[1]); a != b || !a.Known() {
			t.Errorf("%s and %s are two sources, or none", pair[0], pair[1])
		}
	}
	// net.IP holds IPv4 in four or in sixteen bytes.
	ip := net.IPv4(192, 0, 2, 1)
	if Of(&net.TCPAddr{IP: ip.To4()}) != Of(&net.TCPAddr{IP: ip.To16()}) {
		t.Error("the two lengths of an IPv4 address are two sources")
	}
}

func TestOtherSources(t *testing.T) {
	for _, pair := range [][2]string{
		{"192.0.2.1", "192.0.2.2"},
		{"2001:db8:1:2::1", "2001:db8:1:3::1"},
		{"2001:db8:1:2::1", "2001:db8:2:2::1"},
		{"192.0.2.1", "2001:db8:c000:201::"},
	} {
		if of(t, pair[0]).near == of(t, pair[1]).near {
			t.Errorf("%s and %s are one source", pair[0], pair[1])
		}
	}
	a, b, c := of(t, "2001:db8:1:2::1"), of(t, "2001:db8:1:3::1"), of(t, "2001:db8:2:2::1")
	if a.wide != b.wide || a.wide == c.wide || a.wide == 0 {
		t.Error("the wider prefix is not the first 48 bits")
	}
	if of(t, "192.0.2.1").wide != 0 {
		t.Error("IPv4 has a wider prefix")
	}
}

func TestNobodyInParticular(t *testing.T) {
	for _, text := range []string{
		"127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1", // Tor, or a proxy, on this machine
		"10.0.0.1", "172.17.0.1", "192.168.1.1", "::ffff:172.18.0.1", "64:ff9b::10.0.0.1", "fd00::1", // Docker's gateway
		"fc00:dead:beef:4dad::1:2", // what Tor tells in a PROXY header
		"169.254.1.1", "fe80::1",
		"100.64.0.1", "100.127.255.255",
		"0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255",
	} {
		if of(t, text).Known() {
			t.Errorf("%s is limited", text)
		}
	}
	for _, addr := range []net.Addr{nil, &net.TCPAddr{}, &net.TCPAddr{IP: net.IP{1, 2}}, &net.UnixAddr{Name: "/x"}, (*net.TCPAddr)(nil)} {
		if Of(addr).Known() {
			t.Errorf("%T is limited", addr)
		}
	}
	if !of(t, "100.128.0.1").Known() || !of(t, "172.32.0.1").Known() {
		t.Error("a public address is not limited")
	}
}

func TestSourcePrintsNothing(t *testing.T) {
	s := of(t, "192.0.2.1")
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%d", "%s"} {
		text = fmt.Appendf(text, verb, s)
	}
	if rest := strings.ReplaceAll(string(text), "[source]", ""); rest != `""` {
		t.Errorf("printed %q", rest)
	}
}

func FuzzSource(f *testing.F) {
	for _, text := range []string{"192.0.2.1", "::ffff:192.0.2.1", "64:ff9b::192.0.2.1", "2001:db8::1", "fe80::1", "127.0.0.1"} {
		ip := netip.MustParseAddr(text)
		f.Add(ip.AsSlice())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s := Of(&net.TCPAddr{IP: b})
		ip, ok := netip.AddrFromSlice(b)
		if !ok {
			if s.Known() {
				t.Fatal("what is no address is a source")
			}
			return
		}
		if s.Known() == shared(plain(ip)) {
			t.Error("known, or not, without a reason")
		}
		mapped := net.IP(ip.AsSlice()).To16()
		if Of(&net.TCPAddr{IP: mapped}) != s {
			t.Error("the mapped address is another source")
		}
		if !s.Known() && s.wide != 0 {
			t.Error("nobody has a wider prefix")
		}
		p := plain(ip)
		if !p.Is6() || !s.Known() {
			return
		}
		last := p.As16()
		last[15] ^= 0xff
		last[8] ^= 0xff
		if near := netip.AddrFrom16(last); plain(near).Is6() && ofIP(near).Known() && ofIP(near) != s { // ::/64 has ::1 and IPv4 in it
			t.Error("two addresses of one /64 are two sources")
		}
	})
}
