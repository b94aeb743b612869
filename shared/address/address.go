// Package address has the addresses of relays: which protocol they speak, who they are and where they are found. It does
// no I/O.
package address

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"

	"sotto/shared/wire"
)

// Scheme is the protocol that a relay speaks.
type Scheme uint8

// Schemes.
const (
	SMP  Scheme = iota // messages
	XFTP               // files
)

// String returns what an address begins with.
//
// Spec: smp.md 1.4
// Spec: xftp.md 2.3
func (s Scheme) String() string {
	if s == XFTP {
		return "xftp://"
	}
	return "smp://"
}

// DefaultPort is the port of an address without one.
//
// Spec: smp.md 1.4
// Spec: xftp.md 2.3
func (s Scheme) DefaultPort() string {
	if s == XFTP {
		return "443"
	}
	return "5223"
}

// maxStr is the longest byte string with a length of one byte.
const maxStr = 255

// ErrAddress reports a text that is not a server address. The errors of [Parse] wrap it and say which part is
// wrong, without quoting it.
var ErrAddress = errors.New("not a server address")

// Server names a relay: its identity and where to find it. Servers never print themselves, because which relay a
// client asked for is nobody's business; use [Server.String] for one's own.
//
// Spec: smp.md 1.4
type Server struct {
	Scheme Scheme
	// Fingerprint is the SHA-256 of the identity certificate. It has 32 bytes in every address that can work;
	// other lengths are parsed because deployed software does, and fail when the certificate is compared.
	Fingerprint []byte
	Password    Password // nil: none; only in addresses, not in the binary form
	Hosts       []Host   // 1 to 255
	Port        string   // empty: the default
}

// Format keeps relays that clients ask for out of logs, whatever the verb.
func (Server) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[server]") }

// MarshalText keeps relays that clients ask for out of JSON and logs.
func (Server) MarshalText() ([]byte, error) { return []byte("[server]"), nil }

// String returns the address, with the password if there is one.
//
// Spec: smp.md 1.4
func (s Server) String() string {
	b := base64.URLEncoding.AppendEncode([]byte(s.Scheme.String()), s.Fingerprint)
	if s.Password != nil {
		b = append(append(b, ':'), s.Password...)
	}
	b = append(b, '@')
	for i, h := range s.Hosts {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, h...)
	}
	if s.Port != "" {
		b = append(append(b, ':'), s.Port...)
	}
	return string(b)
}

// Parse parses a server address. Fingerprints without their padding are accepted. A bare IPv6 address takes
// what looks like a port with it; it needs brackets to have one. The error wraps [ErrAddress].
//
// Spec: smp.md 1.4
func Parse(scheme Scheme, address string) (Server, error) {
	rest, ok := strings.CutPrefix(address, scheme.String())
	if !ok {
		return Server{}, fmt.Errorf("%w: it does not begin with %q", ErrAddress, scheme.String())
	}
	identity, location, ok := strings.Cut(rest, "@")
	if !ok {
		return Server{}, fmt.Errorf("%w: no \"@\" before the host", ErrAddress)
	}
	s := Server{Scheme: scheme}
	if fingerprint, password, ok := strings.Cut(identity, ":"); ok {
		if identity, s.Password = fingerprint, Password(password); password == "" || !s.Password.Valid() {
			return Server{}, fmt.Errorf("%w: the password is empty or has characters not allowed", ErrAddress)
		}
	}
	var err error
	if s.Fingerprint, err = parseFingerprint(identity); err != nil {
		return Server{}, err
	}
	if s.Hosts, location, err = cutHosts(location); err != nil {
		return Server{}, err
	}
	if s.Port, err = parsePort(location); err != nil {
		return Server{}, err
	}
	return s, nil
}

// parseFingerprint decodes base64url; padding may be missing, but not be wrong.
//
// Spec: smp.md 1.3
func parseFingerprint(s string) ([]byte, error) {
	encoding := base64.RawURLEncoding
	if strings.HasSuffix(s, "=") {
		encoding = base64.URLEncoding
	}
	b, err := encoding.Strict().DecodeString(s)
	// The decoder skips line ends.
	if err != nil || len(b) == 0 || len(b) > maxStr || strings.ContainsAny(s, "\r\n") {
		return nil, fmt.Errorf("%w: the fingerprint is not base64url", ErrAddress)
	}
	return b, nil
}

// cutHosts reads the list of hosts and returns what follows it.
func cutHosts(s string) (hosts []Host, rest string, err error) {
	for {
		h, rest, ok := cutHost(s)
		if !ok || len(hosts) == 255 {
			return nil, "", fmt.Errorf("%w: a host is missing or malformed", ErrAddress)
		}
		hosts = append(hosts, h)
		if s, ok = strings.CutPrefix(rest, ","); !ok {
			return hosts, rest, nil
		}
	}
}

// cutHost reads the host that s begins with.
func cutHost(s string) (h Host, rest string, ok bool) {
	if end := strings.IndexByte(s, ']') + 1; strings.HasPrefix(s, "[") && end > 0 {
		if h, ok = ParseHost(s[:end]); ok && h.Kind() == IPv6 {
			return h, s[end:], true
		}
	}
	end := len(s) - len(strings.TrimLeft(s, ipv6Digits))
	if end == len(s) || s[end] == ',' {
		if h, ok = ParseHost(s[:end]); ok && h.Kind() == IPv6 {
			return h, s[end:], true
		}
	}
	if end = strings.IndexAny(s, ",:"); end < 0 {
		end = len(s)
	}
	h, ok = ParseHost(s[:end])
	return h, s[end:], ok
}

// parsePort reads an optional ":" and decimal number. Leading zeros are dropped; the range is not checked.
func parsePort(s string) (string, error) {
	digits, ok := strings.CutPrefix(s, ":")
	if !ok && s == "" {
		return "", nil
	}
	n, err := strconv.ParseUint(digits, 10, 63)
	if !ok || err != nil {
		return "", fmt.Errorf("%w: what follows the host is not \":\" and a port number", ErrAddress)
	}
	return strconv.FormatUint(n, 10), nil
}

// AppendServer appends the binary form, which has no password.
//
// Spec: smp.md 1.5
func (s Server) AppendServer(dst []byte) []byte {
	dst = wire.AppendCount(dst, len(s.Hosts))
	for _, h := range s.Hosts {
		dst = wire.AppendStr(dst, []byte(h))
	}
	dst = wire.AppendStr(dst, []byte(s.Port))
	return wire.AppendStr(dst, s.Fingerprint)
}

// ReadServer reads the binary form of a relay for messages. The port is any text.
//
// Spec: smp.md 1.5
func ReadServer(r *wire.Reader) Server {
	var s Server
	for range r.NonEmptyCount() {
		h, ok := ParseHost(string(r.Str()))
		if !ok || r.Failed() {
			r.Fail()
			return Server{}
		}
		s.Hosts = append(s.Hosts, h)
	}
	s.Port = string(r.Str())
	s.Fingerprint = r.Str()
	return s
}

// Equal reports whether both name the same relay in the same way: hosts in their order, port and fingerprint as they
// are written. Passwords are not compared.
//
// Spec: smp.md 11.1
func (s Server) Equal(other Server) bool {
	return bytes.Equal(s.AppendServer(nil), other.AppendServer(nil))
}

// Host is the textual form of a host, 1 to 255 bytes, as [ParseHost] returns it.
//
// Spec: smp.md 1.5
type Host string

// HostKind is what a host is.
type HostKind uint8

// Kinds of hosts.
const (
	Domain HostKind = iota
	Onion
	IPv4
	IPv6
)

// Format keeps hosts that clients ask for out of logs, whatever the verb. Convert to string for one's own.
func (Host) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[host]") }

// MarshalText keeps hosts that clients ask for out of JSON and logs.
func (Host) MarshalText() ([]byte, error) { return []byte("[host]"), nil }

// Kind returns what h is.
//
// Spec: smp.md 1.5
func (h Host) Kind() HostKind {
	switch {
	case isIPv4(string(h)):
		return IPv4
	case isIPv6(string(h)):
		return IPv6
	case strings.HasSuffix(string(h), ".onion"):
		return Onion
	}
	return Domain
}

// ParseHost returns the host that s is the textual form of, an IPv6 address without brackets and in its shortest
// form; ok is false if s is none.
//
// Spec: smp.md 1.5
func ParseHost(s string) (h Host, ok bool) {
	if len(s) == 0 || len(s) > maxStr {
		return "", false
	}
	if isIPv4(s) {
		return Host(s), true
	}
	if addr, ok := cutBrackets(s); ok {
		return Host(hexGroups(addr)), true
	}
	if isIPv6(s) {
		return Host(hexGroups(netip.MustParseAddr(s))), true
	}
	if name, ok := strings.CutSuffix(s, ".onion"); ok {
		return Host(s), strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789") == ""
	}
	return Host(s), !strings.ContainsAny(s, ":#,;/ \t\n\v\f\r")
}

func isIPv4(s string) bool {
	addr, err := netip.ParseAddr(s)
	return err == nil && addr.Is4()
}

// isIPv6 reports whether s is an IPv6 address of hexadecimal digits and colons alone.
func isIPv6(s string) bool {
	addr, err := netip.ParseAddr(s)
	return err == nil && addr.Is6() && strings.Trim(s, ipv6Digits) == ""
}

const ipv6Digits = "0123456789abcdefABCDEF:"

// cutBrackets parses an IPv6 address in brackets.
func cutBrackets(s string) (netip.Addr, bool) {
	if !strings.HasPrefix(s, "[") || !strings.HasSuffix(s, "]") {
		return netip.Addr{}, false
	}
	addr, err := netip.ParseAddr(s[1 : len(s)-1])
	return addr, err == nil && addr.Is6() && addr.Zone() == ""
}

// hexGroups prints an IPv6 address without the dots of a mapped IPv4 address, which need brackets to be parsed.
func hexGroups(addr netip.Addr) string {
	if !addr.Is4In6() {
		return addr.String()
	}
	b := addr.As4()
	return fmt.Sprintf("::ffff:%x:%x", uint16(b[0])<<8|uint16(b[1]), uint16(b[2])<<8|uint16(b[3]))
}
