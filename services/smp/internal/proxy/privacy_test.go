package proxy

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/rs/zerolog"

	"sotto/shared/smp"
)

// journal keeps what is logged.
type journal struct {
	mu sync.Mutex
	bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.Buffer.Write(b)
}

// TestNothingNamesDestinations looks for destinations in everything that is logged or answered, when all goes well and when
// all goes wrong.
func TestNothingNamesDestinations(t *testing.T) {
	var log journal
	good := new(fake).start(t)
	bad := (&fake{change: func(h *smp.ServerHello) { h.SignedKey = nil }}).start(t)
	socks := startSocks(t, "")
	deaf := &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("nobody knows secret-relay")
	}}
	r := newRelays(t, Options{Log: zerolog.New(&log).Level(zerolog.TraceLevel), Socks: socks.ln.Addr().String(), Resolver: deaf})
	s := good.connect(t, r)
	forward(t, s)
	var told strings.Builder
	away := good.server()
	for _, server := range []smp.Server{
		bad.server(),
		{Fingerprint: away.Fingerprint, Hosts: []smp.Host{"localhost"}, Port: "1"},
		{Fingerprint: away.Fingerprint, Hosts: []smp.Host{"secret-relay.invalid"}},
		{Fingerprint: away.Fingerprint, Hosts: []smp.Host{onionName}},
		{Fingerprint: []byte{1}, Hosts: away.Hosts, Port: away.Port},
	} {
		_, err := r.Connect(testContext(t), server)
		if err == nil {
			t.Error("connected")
			continue
		}
		fmt.Fprintln(&told, err, string(err.AppendError(nil, 18)))
	}
	fmt.Fprintf(&told, "%v %+v %#v", s, s, s)
	id := s.Key().SessionID
	r.Close()
	log.mu.Lock()
	defer log.mu.Unlock()
	if !strings.Contains(log.String(), "session with another relay ends") {
		t.Errorf("not all was logged:\n%s", log.String())
	}
	for _, secret := range []string{
		"127.0.0.1", "localhost", "secret", "onion", ":" + good.server().Port, bad.server().Port, socks.ln.Addr().String(),
		base64.URLEncoding.EncodeToString(away.Fingerprint)[:20], fmt.Sprintf("%x", away.Fingerprint[:8]), string(id), fmt.Sprintf("%x", []byte(id)),
	} {
		if strings.Contains(log.String(), secret) || strings.Contains(told.String(), secret) {
			t.Errorf("%q was told:\n%s\n%s", secret, log.String(), told.String())
		}
	}
}
