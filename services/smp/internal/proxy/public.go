package proxy

import (
	"net/netip"
	"slices"
)

// special are the networks that are not a part of the public one, though some of IPv6's are in its range.
//
// Source: RFC 6890 2.2
var special = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
	"192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
	"224.0.0.0/4", "240.0.0.0/4",
	"2001::/23", // for protocols: Teredo, benchmarks, ORCHID
	"2001:db8::/32", "3fff::/20",
)

// unicast is where all public addresses of IPv6 are: loopback, link-local, unique local, multicast, the mapped and the
// compatible addresses of IPv4 and the local form of NAT64 are outside, and so is fd00:ec2::254, where a cloud tells secrets.
//
// Source: RFC 4291 2.4
var unicast = netip.MustParsePrefix("2000::/3")

// Networks of IPv6 whose addresses have one of IPv4 inside, to which they lead, and where it begins. NAT64 is how hosts
// without IPv4 reach most relays.
//
// Source: RFC 6052 2.1
// Source: RFC 3056 2
var embedding = []struct {
	prefix netip.Prefix
	at     int
}{
	{netip.MustParsePrefix("64:ff9b::/96"), 12},
	{netip.MustParsePrefix("2002::/16"), 2},
}

func prefixes(texts ...string) (all []netip.Prefix) {
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

// public reports whether addr is a host's in the public network. What is not may be this relay's own machine, its network,
// its database, or the service with the secrets of its cloud, all of which trust the relay more than a stranger.
func public(addr netip.Addr) bool {
	addr = addr.WithZone("").Unmap()
	if addr.Is6() {
		b := addr.As16()
		for _, e := range embedding {
			if e.prefix.Contains(addr) {
				return public(netip.AddrFrom4([4]byte(b[e.at : e.at+4])))
			}
		}
		if !unicast.Contains(addr) {
			return false
		}
	}
	return addr.IsValid() && !slices.ContainsFunc(special, func(p netip.Prefix) bool { return p.Contains(addr) })
}
