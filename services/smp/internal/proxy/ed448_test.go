package proxy

import (
	"bytes"
	"crypto/x509"
	"testing"

	"sotto/services/smp/internal/client"
	"sotto/services/smp/internal/proxy/proxytest"
	"sotto/shared/auth"
	"sotto/shared/key"
	"sotto/shared/smp"
)

// TestEd448Relay connects to a relay with Ed448 keys, and forwards a command.
func TestEd448Relay(t *testing.T) {
	o := proxytest.Start(t)
	served := make(chan error, 1)
	go func() {
		served <- o.Serve(func(f proxytest.Forwarded) smp.Response {
			if send, ok := f.Command.(smp.SEND); !ok || string(send.Body) != "hello" {
				t.Errorf("%s arrived, or another message", f.Tag())
			}
			return smp.OK{}
		})
	}()
	r := newRelays(t, Options{ErrorTTL: 1}) // openssl takes its time to listen
	var s *Session
	eventually(t, "a session", func() bool {
		s, _ = r.Connect(testContext(t), o.Server())
		return s != nil
	})
	leaf, err := x509.ParseCertificate(s.Key().Chain[0])
	if err != nil || !bytes.Equal(leaf.Raw, o.Chain[0]) {
		t.Fatalf("another chain, %v", err)
	}
	k, err := key.Parse(leaf.RawSubjectPublicKeyInfo)
	if err != nil || k.Algorithm() != key.Ed448 {
		t.Fatalf("the leaf is not Ed448: %v", err)
	}
	inner := client.Inner{SessionID: s.Key().SessionID, Version: s.Key().Versions.Max}
	if inner.Key, err = auth.VerifySignedKey(k, s.Key().SignedKey); err != nil {
		t.Fatal(err)
	}
	f, err := inner.Seal(client.Request{Command: smp.SEND{Body: []byte("hello")}, Entity: make([]byte, 24)})
	if err != nil {
		t.Fatal(err)
	}
	answer, refused := s.Forward(testContext(t), f.CorrID, f.Command)
	if refused != nil {
		t.Fatal(refused)
	}
	if got, err := f.Open(answer.Encrypted); err != nil || string(got.Command) != "OK" {
		t.Errorf("%q was answered, %v", got.Command, err)
	}
	r.Close()
	if err := <-served; err != nil {
		t.Error(err)
	}
}
