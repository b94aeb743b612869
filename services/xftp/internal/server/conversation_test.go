package server_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/rs/zerolog"

	"sotto/services/xftp/internal/server"
	"sotto/services/xftp/internal/store/memstore"
	"sotto/services/xftp/internal/xftptest"
	"sotto/shared/identity"
	"sotto/shared/wire"
	"sotto/shared/xftp"
)

// conversation is a recorded one.
type conversation struct {
	LeafPrivate hexBytes `json:"leafPrivatePKCS8"`
	Steps       []step
}

type step struct {
	Step       string
	Connection int
	SessionID  hexBytes `json:"sessionId"`
	Request    struct {
		Body            base64Bytes `json:"body_b64"`
		HelloHeader     bool
		HandshakeHeader bool
	}
	Response struct {
		Body base64Bytes `json:"body_b64"`
	}
	Server struct {
		Session   hexBytes `json:"serverX25519Private"`
		Ephemeral hexBytes `json:"ephemeralPrivate"`
		Nonce     hexBytes
	}
}

// random is what the recorded server took for random in this step, in the order in which this relay wants it.
func (s step) random(t *testing.T) []byte {
	t.Helper()
	switch s.Step {
	case "hello", "hello on a new connection":
		return s.Server.Session
	case "FGET":
		return append(bytes.Clone(s.Server.Ephemeral), s.Server.Nonce...)
	case "FNEW":
		got, err := xftp.ParseBlock(s.Response.Body, s.SessionID)
		must(t, err)
		response, err := xftp.ParseResponse(got.Command)
		must(t, err)
		ids := response.(xftp.SIDS)
		// The recipients' are drawn first.
		return append(bytes.Clone(ids.RecipientIDs[0]), ids.SenderID...)
	}
	return nil
}

// The relay says what the recorded server said, byte by byte, given what that took for random.
//
// Spec: xftp.md 14.4
func TestConversation(t *testing.T) {
	var v conversation
	loadVectors(t, "conversation.json", &v)
	var random []byte
	cfg := xftptest.Defaults()
	s := server.New(cfg, v.identity(t), nil, memstore.New(memstore.Options{}), zerolog.Nop())
	t.Cleanup(func() { _ = s.Shutdown(t.Context()) })
	s.SetRandom(func(p []byte) {
		if copy(p, random) < len(p) {
			t.Errorf("the recorded server took less for random")
		}
		random = random[min(len(p), len(random)):]
	})
	handlers := make(map[int]http.Handler)
	for _, step := range v.Steps {
		t.Run(step.Step, func(t *testing.T) {
			h := handlers[step.Connection]
			if h == nil {
				h = s.Handler(step.SessionID, xftp.ALPNHTTP2, true)
				handlers[step.Connection] = h
			}
			random = step.random(t)
			var header []string
			if step.Request.HelloHeader {
				header = append(header, marksHello...)
			}
			if step.Request.HandshakeHeader {
				header = append(header, marksHandshake...)
			}
			w := ask(h, header, step.Request.Body)
			if !bytes.Equal(w.Body.Bytes(), step.Response.Body) {
				got, _ := wire.Unpad(w.Body.Bytes())
				want, _ := wire.Unpad(step.Response.Body)
				t.Errorf("%d bytes: %.200q\nwant %d bytes: %.200q", w.Body.Len(), got, len(step.Response.Body), want)
			}
		})
	}
}

// identity is that of the recorded server.
func (v conversation) identity(t *testing.T) *identity.Identity {
	t.Helper()
	content, err := wire.Unpad(v.Steps[0].Response.Body)
	must(t, err)
	hello, err := xftp.ParseServerHello(content)
	must(t, err)
	dir := t.TempDir()
	write := func(name, kind string, blocks ...[]byte) string {
		var b []byte
		for _, block := range blocks {
			b = append(b, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: block})...)
		}
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, b, 0o600))
		return path
	}
	_, err = x509.ParsePKCS8PrivateKey(v.LeafPrivate)
	must(t, err)
	id, err := identity.Load(
		write("ca.crt", "CERTIFICATE", hello.Chain[1]), write("server.crt", "CERTIFICATE", hello.Chain[0]),
		write("server.key", "PRIVATE KEY", v.LeafPrivate),
	)
	must(t, err)
	return id
}
