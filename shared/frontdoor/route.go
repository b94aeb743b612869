package frontdoor

import (
	"slices"

	"sotto/shared/clienthello"
	"sotto/shared/transport"
	"sotto/shared/xftp"
)

// route is where a connection goes.
type route int

const (
	toMessages  route = iota // the message relay, untouched
	toFiles                  // the file relay, untouched
	toPages                  // the web pages of this host
	toChallenge              // the answer to a certificate authority
	toEither                 // one of the relays: which, shows after the handshake
)

// hosts are the names that decide about routes.
type hosts struct {
	own   []string // of the message relay, which has the pages
	files []string // of the file relay
}

// isFiles reports whether a name is the file relay's.
func (h hosts) isFiles(name string) bool { return slices.Contains(h.files, name) }

// isOwn reports whether a name is the message relay's.
func (h hosts) isOwn(name string) bool { return slices.Contains(h.own, name) }

// route tells where a connection goes that begins with this hello. Where both relays have one name, browsers go to the
// file relay, which has to see their session, and shows the other's pages too.
//
// Spec: smp.md 3.6
// Spec: xftp.md 3.3
func (h hosts) route(c *clienthello.Hello) route {
	switch {
	case c.Offers(transport.ALPNACME):
		if h.isFiles(c.Name) && !h.isOwn(c.Name) {
			return toFiles
		}
		return toChallenge
	case h.isFiles(c.Name), c.Offers(xftp.ALPN):
		return toFiles
	case c.Name != "":
		return toPages
	case c.Offers(transport.ALPN):
		return toMessages
	case len(c.ALPN) == 0, len(c.ALPN) == 1 && c.ALPN[0] == transport.ALPNHTTP1:
		return toEither // very old apps, and the apps' mode for port 443 on all relays
	default:
		return toPages // a browser that was given an IP address
	}
}
