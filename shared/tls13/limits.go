package tls13

import "time"

// Bounds on what a peer may send, and on time.
const (
	// handshakeTimeout bounds a handshake whose context does not. It is what relays allow theirs.
	//
	// Spec: smp.md 3.8
	handshakeTimeout = 60 * time.Second

	// farewellTimeout bounds the sending of an alert to a peer that may not be reading.
	farewellTimeout = 5 * time.Second

	// maxContent is the most that one record holds.
	//
	// Source: RFC 8446 5.1
	maxContent = 1 << 14

	// maxCiphertext is the longest body of a protected record: content, its type, padding, tag.
	//
	// Source: RFC 8446 5.2
	maxCiphertext = maxContent + 256

	// maxCertificates is the longest chain there is.
	//
	// Spec: smp.md 3.3
	maxCertificates = 4

	// maxCertificate bounds a Certificate message: a chain of four, each of which is 500 bytes when made by the usual
	// tools, and may be 8 KB.
	maxCertificate = maxCertificates * 8 << 10

	// maxHello bounds the two hellos, HelloRetryRequest and CertificateRequest. With every extension in use, and a share
	// for a post-quantum group, they stay under 3 KB; a cookie may be long.
	maxHello = 16 << 10

	// maxVerify bounds a CertificateVerify message. Signatures have 64 and 114 bytes.
	maxVerify = 256

	// maxProtocol, maxProtocols and maxName bound what a configuration may want to send: the first is what the format has
	// room for, the last the longest name of a host, and nobody speaks so many protocols.
	maxProtocol, maxProtocols, maxName = 255, 16, 255

	// maxTicket bounds a NewSessionTicket, which some servers fill with the client's chain.
	maxTicket = 16 << 10

	// maxHandshake bounds what a peer may send in the whole of a handshake, on the wire: twice the longest messages that
	// can be part of one, so that it may use small records.
	maxHandshake = 2 * (2*maxHello + maxCertificate + maxHello)

	// maxIdleRecords is how many records in a row may bring no data: empty ones, tickets, key updates, warnings. Servers
	// send two tickets; the rest is for padding against traffic analysis.
	maxIdleRecords = 32

	// maxRecords is how many records are protected with one key. AES-GCM stays secure for 2^24.5 full records;
	// ChaCha20-Poly1305 for more than anybody sends.
	//
	// Source: RFC 8446 5.5
	maxRecords = 1 << 24
)
