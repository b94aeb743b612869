package run

import (
	"sotto/shared/address"
	"sotto/shared/identity"
	"sotto/shared/settings"
)

// Advertised is where a relay is reached, and what its clients need to know.
type Advertised struct {
	// Hosts and port, without fingerprint and password.
	Server address.Server
	// Identity of the relay.
	Identity settings.Identity
	// Password for new queues or files; empty: none.
	Password string
	// Scan tells where in the app the code of the address is scanned.
	Scan string
}

// Text is what people enter in the app.
//
// Spec: smp.md 1.4
// Spec: xftp.md 2.3
func (a Advertised) Text(id *identity.Identity, withPassword bool) string {
	s := a.Public(id)
	if withPassword && a.Password != "" {
		s.Password = address.Password(a.Password)
	}
	return s.String()
}

// Public is the address without the password, for everybody.
func (a Advertised) Public(id *identity.Identity) address.Server {
	fingerprint := id.Fingerprint()
	s := a.Server
	s.Fingerprint = fingerprint[:]
	return s
}

// LoadOrCreate loads the relay's identity, or makes one for its first host; made tells which.
func (a Advertised) LoadOrCreate() (id *identity.Identity, made bool, err error) {
	return a.Identity.LoadOrCreate(string(a.Server.Hosts[0]))
}
