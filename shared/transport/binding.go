package transport

import (
	"bytes"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"net"
)

// Bounds of what is kept of a handshake.
const (
	// maxKept bounds the client's encrypted handshake records. Without a client certificate they are one record of
	// 58 bytes; a chain of four certificates and padding fit many times.
	maxKept = 32 << 10

	// maxSecret is the longest handshake secret, that of the SHA-384 suite.
	maxSecret = 48

	recordHeader      = 5
	recordApplication = 23 // outer type of every encrypted TLS 1.3 record

	// blockRecord is the length of a record that holds a block: header, block, inner type, tag. Spec: smp.md 5.1
	blockRecord = recordHeader + 16384 + 1 + 16
)

// errNoSessionID is returned when a handshake ended well but its Finished message was not found, which takes more
// padding than any client uses.
var errNoSessionID = errors.New("transport: no client Finished in the handshake")

// direction is that of a connection's bytes that the client sends.
type direction bool

const (
	clientReads  direction = false // the relay's end: the client's bytes are those read
	clientWrites direction = true  // the client's end: they are those written
)

// binding is a connection under a TLS handshake that keeps what the session id is made from: the client's encrypted
// handshake records and, through a key log of this connection alone, the secret that opens them. crypto/tls does
// not give the client's Finished message under TLS 1.3, and its key log is its only way out.
//
// During the handshake only the goroutine of the handshake reads and writes. [binding.stop] ends the keeping; from
// then on the binding passes everything through.
//
// Spec: smp.md 3.4
// Spec: smp.md 16
type binding struct {
	net.Conn
	from direction
	kept *transcript // nil once stopped
	in   framing     // of what was read
}

// newBinding begins to keep what the client sends on conn.
func newBinding(conn net.Conn, from direction) *binding {
	return &binding{Conn: conn, from: from, kept: new(transcript)}
}

// Read reads from the connection, and keeps it at the relay's end of a handshake.
//
// After a handshake it returns no more than the rest of a record, or one that holds a block. crypto/tls never shrinks
// the buffer it reads into, and doubles it when a read brings the beginning of the record after: that is the difference
// between 18 KB and 40 KB for every idle connection.
func (b *binding) Read(p []byte) (int, error) {
	if most := b.in.rest(blockRecord); b.kept == nil && len(p) > most {
		p = p[:most]
	}
	n, err := b.Conn.Read(p)
	b.in.skip(p[:n])
	if b.kept != nil && b.from == clientReads {
		b.kept.add(p[:n])
	}
	return n, err
}

// Write writes to the connection, and keeps it at the client's end of a handshake.
func (b *binding) Write(p []byte) (int, error) {
	if b.kept != nil && b.from == clientWrites {
		b.kept.add(p)
	}
	return b.Conn.Write(p)
}

// config returns a copy of cfg whose key log is that of this connection.
func (b *binding) config(cfg *tls.Config) *tls.Config {
	own := cfg.Clone()
	own.KeyLogWriter = keyLog{b}
	return own
}

// serverConfig is config, also for what GetConfigForClient chooses after the ClientHello.
func (b *binding) serverConfig(cfg *tls.Config) *tls.Config {
	own := b.config(cfg)
	if choose := cfg.GetConfigForClient; choose != nil {
		own.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			chosen, err := choose(hello)
			if chosen == nil || err != nil {
				return nil, err
			}
			return b.config(chosen), nil
		}
	}
	return own
}

// sessionID returns the client's Finished message of the handshake that has just ended.
//
// Spec: smp.md 3.4
func (b *binding) sessionID(state *tls.ConnectionState) ([]byte, error) {
	if state.Version == tls.VersionTLS13 {
		return b.kept.finished(state.CipherSuite)
	}
	if len(state.TLSUnique) == 0 {
		return nil, errNoSessionID
	}
	return bytes.Clone(state.TLSUnique), nil
}

// stop wipes what was kept and lets the connection pass through. It may be called more than once.
func (b *binding) stop() {
	if b.kept != nil {
		b.kept.wipe()
		b.kept = nil
	}
}

// framing follows the boundaries of records in a stream that is split anyhow.
type framing struct {
	header [recordHeader]byte
	headed int // bytes of the header seen
	left   int // bytes of the record's body still to come
}

// next takes the first part of p, which lies in one header or one body. It returns the part of the body, which is empty
// while in a header, and whether a header is complete now.
func (f *framing) next(p []byte) (body, rest []byte, headed bool) {
	if f.left > 0 {
		n := min(f.left, len(p))
		f.left -= n
		return p[:n], p[n:], false
	}
	n := copy(f.header[f.headed:], p)
	f.headed += n
	if f.headed < recordHeader {
		return nil, p[n:], false
	}
	f.headed = 0
	f.left = int(f.header[3])<<8 | int(f.header[4])
	return nil, p[n:], true
}

// skip takes all of p.
func (f *framing) skip(p []byte) {
	for len(p) > 0 {
		_, p, _ = f.next(p)
	}
}

// rest returns how many bytes of the present record are to come, if it is expected to have length bytes in all.
func (f *framing) rest(length int) int {
	if f.left > 0 {
		return f.left
	}
	return length - f.headed
}

// transcript collects the client's encrypted records of one handshake and their secret. Plain records (hellos of up to
// 64 KB) are skipped rather than kept.
type transcript struct {
	framing
	records []byte
	full    bool // maxKept was exceeded: there will be no session id

	secret    [maxSecret]byte
	secretLen int
}

// add takes the next bytes the client sent, split anyhow.
func (t *transcript) add(p []byte) {
	for len(p) > 0 {
		body, rest, headed := t.next(p)
		if headed {
			body = t.header[:]
		}
		t.keep(body)
		p = rest
	}
}

// keep appends a part of the present record if it is an encrypted one. An incomplete header has none.
func (t *transcript) keep(p []byte) {
	if t.header[0] != recordApplication || t.full {
		return
	}
	if len(t.records)+len(p) > maxKept {
		t.full = true
		clear(t.records)
		t.records = nil
		return
	}
	t.records = append(t.records, p...)
}

// finished opens the records with the secret and returns the client's Finished message.
func (t *transcript) finished(suite uint16) ([]byte, error) {
	if t.full || t.secretLen == 0 {
		return nil, errNoSessionID
	}
	return openFinished(t.records, t.secret[:t.secretLen], suite)
}

// wipe overwrites the records and the secret.
func (t *transcript) wipe() {
	clear(t.records)
	clear(t.secret[:])
	t.records, t.secretLen = nil, 0
}

// keyLog takes the client's handshake secret out of what crypto/tls logs for one connection.
type keyLog struct{ b *binding }

// secretLabel begins the line of the client's handshake secret; the client's random and the secret follow in hex.
var secretLabel = []byte("CLIENT_HANDSHAKE_TRAFFIC_SECRET ")

// Write takes one line. It overwrites the line, which against the custom of io.Writer is meant: crypto/tls makes it
// for this call alone and drops it, with the connection's traffic secrets in it.
func (k keyLog) Write(line []byte) (int, error) {
	defer clear(line)
	t := k.b.kept
	if t == nil {
		return len(line), nil
	}
	rest, ok := bytes.CutPrefix(line, secretLabel)
	if !ok {
		return len(line), nil
	}
	_, text, ok := bytes.Cut(bytes.TrimSuffix(rest, []byte("\n")), []byte(" "))
	if !ok || hex.DecodedLen(len(text)) > maxSecret {
		return 0, errNoSessionID
	}
	n, err := hex.Decode(t.secret[:], text)
	if err != nil {
		return 0, errNoSessionID
	}
	t.secretLen = n
	return len(line), nil
}
