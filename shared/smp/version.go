package smp

import "sotto/shared/wire"

// Versions of the protocol that this package encodes and decodes, both included. The functions that take a version
// treat one outside this range like the nearest inside it: a forwarded version is not checked by relays.
//
// Spec: smp.md 4.3
const (
	MinVersion wire.Version = 6
	MaxVersion wire.Version = 18
)

// Versions that changed something on the wire, named for the change. Version 13 changed nothing.
//
// Spec: smp.md 4.4
const (
	// VersionAuth takes the session id out of transmissions and puts session keys into the hellos.
	VersionAuth wire.Version = 7
	// VersionProxy has PRXY, PFWD and RFWD, and a smaller message body.
	VersionProxy wire.Version = 8
	// VersionSenderSecure has SKEY; NEW and IDS tell whether the sender may secure the queue.
	VersionSenderSecure wire.Version = 9
	// VersionDeleted has DELD; older clients get END.
	VersionDeleted wire.Version = 10
	// VersionBlockEncryption encrypts blocks inside TLS, and has a smaller message body.
	VersionBlockEncryption wire.Version = 11
	// VersionBlocked has ERR BLOCKED; older clients get ERR AUTH.
	VersionBlocked wire.Version = 12
	// VersionProxyFlag has the proxyServer flag of the client hello.
	VersionProxyFlag wire.Version = 14
	// VersionShortLinks has queue modes and link data in NEW, and the commands for links.
	VersionShortLinks wire.Version = 15
	// VersionService has service certificates, the service signature of transmissions, and SOK.
	VersionService wire.Version = 16
	// VersionNotifierCreds has notifier credentials in NEW and IDS.
	VersionNotifierCreds wire.Version = 17
	// VersionNotice has the notice of ERR BLOCKED.
	VersionNotice wire.Version = 18
)
