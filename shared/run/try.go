package run

import (
	"sotto/shared/settings"
	"sotto/shared/transport"
)

// TryOptions help to understand those of the command try.
const TryOptions = `                    --web-port     connect as apps do that use port 443 for all relays
                    --old          connect as very old apps do, without ALPN
`

// TryArgs reads the arguments of the command try: the relay's address, and which protocols the client offers in its
// handshake; nil: what apps offer.
//
// Spec: smp.md 3.5
// Spec: smp.md 3.6
func TryArgs(scheme string, args []string) (address string, alpn []string, err error) {
	for _, arg := range args {
		switch {
		case arg == "--web-port":
			alpn = []string{transport.ALPNHTTP1}
		case arg == "--old":
			alpn = []string{}
		case address != "" || len(arg) > 1 && arg[:2] == "--":
			return "", nil, settings.Bad("try does not take %q; it takes one address, --web-port or --old", arg)
		default:
			address = arg
		}
	}
	if address == "" {
		return "", nil, settings.Bad("try takes an address: %[1]s try %[1]s://fingerprint@host", scheme)
	}
	return address, alpn, nil
}
