package proxy

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"sotto/shared/address"
	"sotto/shared/smp"
)

// PortRange is a range of ports, both ends included.
type PortRange struct{ Min, Max uint16 }

// destination is where to connect to.
type destination struct {
	fingerprint []byte
	host        string
	port        uint16
	socks       bool // through the SOCKS server, which looks the host up
	own         bool // one of the operator's own domains
}

// place is what stands for a host when sessions are counted: the address connected to, or its network of 64 bits, or the
// name that the SOCKS server was given.
func (d *destination) place(remote net.Addr) string {
	at, err := netip.ParseAddrPort(remote.String())
	if d.socks || err != nil {
		return d.host
	}
	addr, bits := at.Addr().Unmap(), 32
	if addr.Is6() {
		bits = 64
	}
	network, _ := addr.WithZone("").Prefix(bits) // of an address of its length
	return network.String()
}

// destination chooses the host to connect to: the first that is not an onion service, else the first. It reports false if
// that one may not be connected to, as far as its name tells.
//
// Spec: smp.md 11.2
func (d *dialer) destination(server smp.Server) (to destination, ok bool) {
	host := server.Hosts[0]
	for _, h := range server.Hosts {
		if h.Kind() != address.Onion {
			host = h
			break
		}
	}
	name := address.CanonicalName(string(host))
	onion := host.Kind() == address.Onion || strings.HasSuffix(name, ".onion")
	to = destination{
		fingerprint: server.Fingerprint, host: name, socks: onion || d.options.SocksAll, own: within(name, d.options.Domains),
	}
	to.port, ok = port(server.Port)
	switch {
	case !ok || !d.portAllowed(to.port):
		return to, false
	case to.socks && d.socks == nil:
		return to, false
	case len(d.options.Allow) > 0 && !within(name, d.options.Allow):
		return to, false
	case onion:
		return to, plainName(name)
	default:
		return to, d.nameAllowed(host.Kind(), name)
	}
}

// port reads the port of an address. It is text that a client has sent.
//
// Spec: smp.md 11.2
func port(text string) (uint16, bool) {
	if text == "" {
		text = address.SMP.DefaultPort()
	}
	n, err := strconv.ParseUint(text, 10, 16) // takes digits alone
	return uint16(n), err == nil && n > 0
}

func (d *dialer) portAllowed(port uint16) bool {
	return len(d.options.Ports) == 0 || slices.ContainsFunc(d.options.Ports, func(r PortRange) bool {
		return r.Min <= port && port <= r.Max
	})
}

// within reports whether name is one of the hosts or domains, or in one of them.
//
// Spec: smp.md 11.2
func within(name string, domains []string) bool {
	return slices.ContainsFunc(domains, func(domain string) bool {
		domain = address.CanonicalName(domain)
		return name == domain || strings.HasSuffix(name, "."+domain)
	})
}

// nameAllowed reports whether a host may be connected to as far as its name tells: what it resolves to is looked at later.
func (d *dialer) nameAllowed(kind address.HostKind, name string) bool {
	if kind != address.Domain {
		addr, err := netip.ParseAddr(name)
		return err == nil && (d.options.AllowPrivate || public(addr))
	}
	return plainName(name) && (d.options.AllowPrivate || !localName(name))
}

// plainName reports whether name has the characters of host names alone, and is not an address in one of the forms that
// resolvers take, as 127.1 and 0x7f000001: those end in a number.
//
// Source: RFC 1123 2.1
func plainName(name string) bool {
	const characters = "abcdefghijklmnopqrstuvwxyz0123456789-_."
	last := name[strings.LastIndexByte(name, '.')+1:]
	return len(name) <= 253 && last != "" && strings.Trim(name, characters) == "" &&
		strings.Trim(last[:1], "0123456789") != ""
}

// localName reports whether name is never that of a public host: a SOCKS server, which looks names up by itself, would
// take it for a host of its own network.
//
// Source: RFC 6761 6.3
// Source: RFC 6762 3
func localName(name string) bool {
	return !strings.Contains(name, ".") || within(name, []string{"localhost", "local", "internal", "home.arpa"})
}
