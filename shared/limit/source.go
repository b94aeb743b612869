// Package limit bounds what one source may do to a relay: how many connections it has open, how often it connects, and
// how often it asks for what is dear. It counts and forgets: a source is a hash of an address under a key that lives as
// long as the process, and no address is kept, or told in a log.
package limit

import (
	"fmt"
	"hash/maphash"
	"io"
	"net"
	"net/netip"
)

// What counts as one source.
const (
	// ipv4Bits: an IPv4 address is one source. Neighbours in a network often have nothing to do with each other.
	ipv4Bits = 32
	// nearBits: an IPv6 network of one subscriber or machine, who may take any address in it.
	nearBits = 64
	// wideBits: what a provider gives to whoever asks, 65,536 times the former. Else one machine would be as many sources.
	wideBits = 48
	// wideShare is what a /48 may do, in times of a /64 in it. It may also be a part of a mobile network, with as many
	// phones in it as there are behind one of the network's IPv4 addresses.
	wideShare = 4
)

// key hashes prefixes. It is drawn once per process, so that nobody can choose addresses whose hashes collide.
var key = maphash.MakeSeed()

// Source is who is on the other side, as far as limits go. The zero Source is nobody in particular, who is not limited.
// It prints as a placeholder.
type Source struct {
	near uint64 // hash of the prefix, 0: none
	wide uint64 // hash of the wider prefix, 0: none
}

// Of returns the source that an address belongs to. It is nobody for addresses that many share who have nothing to do with
// each other: the machine's own and those of private networks are those of Tor, a proxy, or the gateway that Docker puts
// before containers.
func Of(addr net.Addr) Source {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok || tcp == nil {
		return Source{}
	}
	ip, ok := netip.AddrFromSlice(tcp.IP)
	if !ok {
		return Source{}
	}
	return ofIP(ip)
}

func ofIP(ip netip.Addr) Source {
	ip = plain(ip)
	if shared(ip) {
		return Source{}
	}
	if ip.Is4() {
		return Source{near: hash(ip, ipv4Bits)}
	}
	return Source{near: hash(ip, nearBits), wide: hash(ip, wideBits)}
}

// translated is where networks without IPv4 map all of it to: behind a translator it is every IPv4 client.
//
// Source: RFC 6052 2.1
var translated = netip.MustParsePrefix("64:ff9b::/96")

// plain returns an address in its one form: IPv4 may be written as IPv6 in two ways.
func plain(ip netip.Addr) netip.Addr {
	ip = ip.Unmap().WithZone("")
	if translated.Contains(ip) {
		b := ip.As16()
		return netip.AddrFrom4([4]byte(b[12:]))
	}
	return ip
}

// between is for the networks between subscribers and a carrier's translator, and of some VPNs.
//
// Source: RFC 6598 7
var between = netip.MustParsePrefix("100.64.0.0/10")

// shared reports whether an address says nothing about who has it.
func shared(ip netip.Addr) bool {
	return !ip.IsGlobalUnicast() || ip.IsPrivate() || between.Contains(ip)
}

// hash hashes a prefix with its length, to something that is not 0.
func hash(ip netip.Addr, bits int) uint64 {
	prefix := netip.PrefixFrom(ip, bits).Masked()
	bytes := prefix.Addr().As16()
	h := maphash.Bytes(key, append(bytes[:], byte(bits)))
	return max(h, 1)
}

// Known reports whether this is somebody who can be limited.
func (s Source) Known() bool { return s.near != 0 }

// Format prints a placeholder, whatever the verb.
func (s Source) Format(f fmt.State, _ rune) { io.WriteString(f, "[source]") }

// MarshalText returns a placeholder.
func (s Source) MarshalText() ([]byte, error) { return []byte("[source]"), nil }
