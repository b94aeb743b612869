package tls13

import (
	"bytes"
	"slices"

	"sotto/shared/clienthello"
)

// The extensions of a ClientHello that concern a server alone. The rest of them is read by package clienthello.
//
// Source: RFC 8446 4.2
// Source: RFC 9849 6.1
const (
	extensionPadding      = 21
	extensionPreSharedKey = 41
	extensionEarlyData    = 42
	extensionKeyModes     = 45
	extensionEncrypted    = 0xfe0d
)

// offer is what a server takes of a ClientHello.
type offer struct {
	hello *clienthello.Hello
	suite *suite
	alpn  string // "": the client has offered none
	share []byte // the client's X25519 key, nil if it has to be asked for it
}

// Supports reports whether [Server] has what a client asks for: TLS 1.3, X25519, Ed25519 and one of its suites.
func Supports(hello *clienthello.Hello) bool {
	return slices.Contains(hello.Versions, versionTLS13) && slices.Contains(hello.Groups, groupX25519) &&
		slices.Contains(hello.Signatures, uint16(Ed25519)) && chooseSuite(hello) != nil
}

// negotiate chooses from a ClientHello.
func negotiate(hello *clienthello.Hello, cfg *ServerConfig) (*offer, error) {
	if err := checkHello(hello); err != nil {
		return nil, err
	}
	o := &offer{hello: hello, suite: chooseSuite(hello)}
	// Source: RFC 8446 4.1.1: without parameters in common the alert is handshake_failure
	if o.suite == nil || !slices.Contains(hello.Groups, groupX25519) ||
		!slices.Contains(hello.Signatures, uint16(cfg.Certificate.scheme())) {
		return nil, ErrCommon
	}
	if err := o.takeShare(); err != nil {
		return nil, err
	}
	return o, o.chooseProtocol(cfg.ALPN)
}

// checkHello checks what every ClientHello for TLS 1.3 has to be like.
func checkHello(hello *clienthello.Hello) error {
	preShared := hello.Has(extensionPreSharedKey)
	switch {
	// Source: RFC 8446 4.2.1: the version is negotiated by supported_versions; legacy_version is ignored then
	case !slices.Contains(hello.Versions, versionTLS13):
		return ErrVersion
	// Source: RFC 8446 4.1.2: opaque legacy_session_id<0..32>
	case len(hello.SessionID) > maxSessionID:
		return ErrMessage
	// Source: RFC 8446 4.1.2: legacy_compression_methods has exactly one byte, which is zero
	case !bytes.Equal(hello.Compressions, []byte{0}):
		return ErrParameter
	// Source: RFC 8446 9.2: signature_algorithms and supported_groups have to be there unless a pre-shared key is used,
	// which never is; supported_groups and key_share come together
	case hello.Signatures == nil, hello.Groups == nil, !hello.Has(extensionShares):
		return ErrMissing
	// Source: RFC 8446 4.2.2: a cookie is only sent by who was given one, and none is given here
	case hello.Has(extensionCookie):
		return ErrParameter
	// Source: RFC 8446 4.2.10: early data needs a ticket, and none is given here. What follows such a hello would have to
	// be skipped without understanding it.
	case hello.Has(extensionEarlyData):
		return ErrExtension
	// Source: RFC 8446 4.2.11: pre_shared_key has to be the last extension
	case preShared && hello.Last != extensionPreSharedKey:
		return ErrParameter
	// Source: RFC 8446 4.2.9: pre_shared_key must not come without psk_key_exchange_modes
	case preShared && !hello.Has(extensionKeyModes):
		return ErrMissing
	}
	return nil
}

// maxSessionID is the longest legacy_session_id.
//
// Source: RFC 8446 4.1.2
const maxSessionID = 32

// chooseSuite returns the first of our suites that the client has; nil if there is none.
func chooseSuite(hello *clienthello.Hello) *suite {
	for i := range suites {
		if slices.Contains(hello.Suites, suites[i].id) {
			return &suites[i]
		}
	}
	return nil
}

// takeShare finds the client's key for X25519. The keys are for different groups, which the client lists in the same
// order.
//
// Source: RFC 8446 4.2.8
func (o *offer) takeShare() error {
	groups := o.hello.Groups
	for _, share := range o.hello.Shares {
		at := slices.Index(groups, share.Group)
		if at < 0 {
			return ErrParameter
		}
		groups = groups[at+1:]
		if share.Group != groupX25519 {
			continue
		}
		// Source: RFC 8446 4.2.8.2: 32 bytes
		if len(share.Key) != shareSize {
			return ErrParameter
		}
		o.share = share.Key
	}
	return nil
}

// chooseProtocol takes the first of the client's protocols that is also ours. A client that offers none gets none.
//
// Source: RFC 7301 3.2
// Spec: smp.md 3.5
func (o *offer) chooseProtocol(ours []string) error {
	if o.hello.ALPN == nil {
		return nil
	}
	for _, protocol := range o.hello.ALPN {
		if slices.Contains(ours, protocol) {
			o.alpn = protocol
			return nil
		}
	}
	return ErrALPN
}

// again takes the ClientHello that answers a HelloRetryRequest.
//
// Source: RFC 8446 4.1.2
func (o *offer) again(second *clienthello.Hello) error {
	switch first := o.hello; {
	case second.Version != first.Version, !bytes.Equal(second.Random, first.Random),
		!bytes.Equal(second.SessionID, first.SessionID), !slices.Equal(second.Suites, first.Suites),
		!bytes.Equal(second.Compressions, first.Compressions),
		!slices.EqualFunc(lasting(second), lasting(first), sameExtension):
		return ErrParameter
	// The list has the one share that was asked for.
	case len(second.Shares) != 1, second.Shares[0].Group != groupX25519:
		return ErrParameter
	}
	// What was refused in the first hello may have been added in the second.
	if err := checkHello(second); err != nil {
		return err
	}
	o.hello = second
	return o.takeShare()
}

// lasting returns the extensions that have to be the same in a second ClientHello.
//
// Source: RFC 8446 4.1.2
// Source: RFC 9849 6.1.5
func lasting(hello *clienthello.Hello) []clienthello.Extension {
	return slices.DeleteFunc(slices.Clone(hello.Extensions), func(e clienthello.Extension) bool {
		switch e.Type {
		case extensionShares, extensionEarlyData, extensionCookie, extensionPreSharedKey, extensionPadding, extensionEncrypted:
			return true
		}
		return false
	})
}

func sameExtension(a, b clienthello.Extension) bool {
	return a.Type == b.Type && bytes.Equal(a.Body, b.Body)
}
