package transport

import (
	"crypto/tls"
	"errors"
	"testing"

	"sotto/shared/identity"
)

// TestClientVersions checks that a client can be held to one version of TLS.
func TestClientVersions(t *testing.T) {
	id := newIdentity(t)
	for version, size := range map[uint16]int{tls.VersionTLS12: 12, tls.VersionTLS13: 32} {
		cfg := ClientConfig{Fingerprint: id.Fingerprint(), MinVersion: version, MaxVersion: version}
		c, s := handshakes(t, connect(cfg), serve(ServerConfig(id)))
		checkSessions(t, c, s, size)
		if got := c.session.TLS().Version; got != version {
			t.Errorf("%s: negotiated %s", tls.VersionName(version), tls.VersionName(got))
		}
	}
}

// TestClientVerify checks that the client's own check of the chain takes the place of that against the fingerprint.
func TestClientVerify(t *testing.T) {
	id := newIdentity(t)
	var seen [][]byte
	accept := ClientConfig{Verify: func(chain [][]byte) error {
		seen = chain
		return nil
	}}
	c, s := handshakes(t, connect(accept), serve(ServerConfig(id)))
	checkSessions(t, c, s, 32)
	if len(seen) != 2 || string(seen[1]) != string(id.Chain[1]) {
		t.Error("checked another chain")
	}
	refuse := ClientConfig{Fingerprint: id.Fingerprint(), Verify: func([][]byte) error { return identity.ErrUsage }}
	if c, _ := handshakes(t, connect(refuse), serve(ServerConfig(id))); !errors.Is(c.err, identity.ErrUsage) {
		t.Errorf("got %v", c.err)
	}
}
