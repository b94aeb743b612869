// Package tls13 is TLS 1.3 with Ed25519 and Ed448, for relays: towards other relays as their client, and towards apps,
// services and other relays as their server.
//
// Most relays in the field hold Ed448 keys, for their identity and often for their online certificate too. crypto/tls
// can neither offer that signature scheme nor verify it, so its handshakes with them fail. This package makes those
// handshakes, and it gives the client's Finished message, which is the session id of the protocols above and which
// crypto/tls hides.
//
// As a server it can ask for certificates, also those of Ed448, which a client keeps to itself, or breaks off for, when
// crypto/tls asks. Clients that it has nothing in common with, by [Supports], are for crypto/tls.
//
// # What it defends against
//
// The network between the two ends is the attacker's: it may read, change, drop, delay, repeat and add anything. A
// handshake that ends well means that the peer holds the key of the leaf that [Config.VerifyChain] has accepted, that
// both ends saw the same messages, and that nobody else has the keys. After it, data arrives as it was sent and in
// order, or Read fails; an end that the peer did not announce with close_notify is [io.ErrUnexpectedEOF] and never
// [io.EOF].
//
// A server does not know its clients before they speak, or after it. [State.PeerChain] is there only for one that has
// proven to hold the key of its leaf, and what it is worth is for [ServerConfig.VerifyClient] to say. Nothing of one
// connection serves another: there are no tickets, no cookies, and a fresh key for every agreement.
//
// The peer itself may be hostile too: a relay is an address that somebody has typed. Everything that a peer sends is
// bounded before it is kept, in size, number and time: see the constants in limits.go. Errors are fixed sentences and
// hold nothing that the peer has sent but the number of an alert.
//
// It does not hide the length of data (records are not padded: the protocols above send blocks of one size), nor that
// it is this package that speaks. Side channels are left to the primitives, all of which come from the standard
// library, golang.org/x/crypto and circl; what is compared here with a secret is compared in constant time. Private
// keys and traffic secrets are overwritten where Go lets us, which is no promise.
//
// # What is left out
//
// What relays do not use is not here, since code that is not there cannot be wrong:
//
//   - Versions before 1.3, which relays speak beside it.
//   - Resumption, pre-shared keys and early data. The session id has to be new for every connection, and early data
//     can be repeated by an attacker. Tickets are read and dropped; since the modes for pre-shared keys are not
//     offered, few servers send any.
//   - Groups other than X25519, which every relay accepts. One group means that a server which asks for another share
//     is refused; one that wants a cookie gets it.
//   - Signatures by RSA and ECDSA. Certificates of relays are Ed25519 or Ed448 all the way.
//   - Requests for a certificate after the handshake, compressed certificates, exporters, stapled OCSP answers,
//     renegotiation (which 1.3 does not have).
//   - Names in certificates. A relay is known by the fingerprint of its identity certificate, which
//     [Config.VerifyChain] compares; without that function there is no handshake.
//
// A client offers TLS_CHACHA20_POLY1305_SHA256 alone, like apps do: relays that serve port 5223 accept nothing else,
// and all others accept it too. The two suites with AES are there for those who ask for them in [Config.Suites]. A
// server takes all three, ChaCha20-Poly1305 first.
//
// # Memory
//
// A connection that waits for data holds no buffer. Read takes the header of a record into the connection itself, and
// only when that has come a buffer from a pool, which goes back as soon as the record is read out.
//
// Source: RFC 8446
package tls13
