package server_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/sha256"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/rs/zerolog"

	"sotto/services/xftp/internal/server"
	"sotto/services/xftp/internal/store/memstore"
	"sotto/services/xftp/internal/xftptest"
	"sotto/shared/auth"
	"sotto/shared/key"
	"sotto/shared/wire"
	"sotto/shared/xftp"
)

// ask sends a request to a handler that has no network under it.
func ask(h http.Handler, header []string, body []byte) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// The golden vectors of requests that are refused, answered by the whole relay.
//
// Spec: xftp.md 6.1
func TestRequestErrorVectors(t *testing.T) {
	var v struct {
		SessionID hexBytes `json:"sessionId"`
		Cases     []struct {
			Name   string
			Body   base64Bytes `json:"requestBody_b64"`
			Expect struct {
				Command  string
				Response hexBytes `json:"responseUnpadded"`
				SHA256   hexBytes `json:"responseSHA256"`
			}
		}
	}
	loadVectors(t, "request_errors.json", &v)
	if len(v.Cases) < 20 {
		t.Fatalf("%d cases", len(v.Cases))
	}
	private, err := ecdh.X25519().NewPrivateKey(make([]byte, 31+1))
	must(t, err)
	for _, c := range v.Cases {
		t.Run(c.Name, func(t *testing.T) {
			h := bareServer(t, nil).Handler(v.SessionID, xftp.ALPN, false)
			server.Accept(h, private, xftp.Versions.Max)
			w := ask(h, nil, c.Body)
			sum := sha256.Sum256(w.Body.Bytes())
			if w.Code != http.StatusOK || !bytes.Equal(sum[:], c.Expect.SHA256) {
				content, err := wire.Unpad(w.Body.Bytes())
				t.Errorf("status %d, content %x (%v), want %x", w.Code, content, err, c.Expect.Response)
			}
		})
	}
}

// bareServer is a relay that listens nowhere.
func bareServer(t testing.TB, store server.Store) *server.Server {
	t.Helper()
	if store == nil {
		store = memstore.New(memstore.Options{})
	}
	r := xftptest.Start(t, xftptest.Options{Pipes: true})
	cfg := xftptest.Defaults()
	cfg.ChunkSizes = xftp.ChunkSizes
	s := server.New(cfg, r.Identity, nil, store, zerolog.Nop())
	t.Cleanup(func() { _ = s.Shutdown(t.Context()) })
	return s
}

// raw is a command as it is on the wire, right or wrong.
type raw struct {
	xftp.Command
	text string
}

func (r raw) AppendCommand(dst []byte) []byte { return append(dst, r.text...) }

// Every error of the decision table that a request alone provokes, on a connection that goes on.
//
// Spec: xftp.md 9.2
func TestErrors(t *testing.T) {
	p := native(t, xftptest.Start(t, xftptest.Options{}))
	k, none := auth.NewEd25519(), auth.Key{}
	id, _ := content(xftp.IDSize)
	command := func(text string) []byte { return p.head(none, nil, nil, raw{text: text}) }
	good := command("PING")
	change := func(at int, to byte) []byte {
		b := bytes.Clone(good)
		b[at] = to
		return b
	}
	fnew := func(keys int, tail string) raw {
		cmd := xftp.FNEW{File: xftp.FileInfo{SenderKey: k.Public(), Size: size, Digest: make([]byte, 32)}}
		for range keys {
			cmd.Recipients = append(cmd.Recipients, k.Public())
		}
		return raw{text: string(cmd.AppendCommand(nil)) + tail}
	}
	for _, test := range []struct {
		name, want string
		body       []byte
	}{
		{"18.7/55 empty body", "ERR BLOCK", nil},
		{"18.7/55 short head", "ERR BLOCK", good[:100]},
		{"18.7/55 length past the block", "ERR BLOCK", change(0, 0x40)},
		{"18.7/55 batch of 0", "ERR BLOCK", change(2, 0)},
		{"18.7/55 batch of 2", "ERR BLOCK", change(2, 2)},
		{"18.7/55 bytes after the batch", "ERR BLOCK", change(1, good[1]+1)},
		{"18.7/55 other session id", "ERR SESSION", change(10, good[10]+1)},
		{"18.7/55 authorization of 63 bytes", "ERR BLOCK", p.authorized(make([]byte, 63), nil, "PING")},
		{"18.7/55 no command", "ERR CMD UNKNOWN", command("")},
		{"18.7/55 unknown command", "ERR CMD UNKNOWN", command("fput")},
		{"18.7/55 space after a bare command", "ERR CMD SYNTAX", command("FPUT ")},
		{"18.7/55 parameters missing", "ERR CMD SYNTAX", command("FNEW")},
		{"18.7/55 bytes after parameters", "ERR CMD SYNTAX", p.head(k, nil, nil, fnew(1, "x"))},
		{"18.7/63 no recipients", "ERR CMD SYNTAX", p.head(k, nil, nil, fnew(0, ""))},
		{"18.7/55 password with a colon", "ERR CMD SYNTAX", p.head(k, nil, nil, raw{text: string(xftp.FNEW{
			File:       xftp.FileInfo{SenderKey: k.Public(), Size: size},
			Recipients: []key.Public{k.Public()}, HasBasicAuth: true, BasicAuth: []byte("a:b"),
		}.AppendCommand(nil))})},
		{"18.7/55 FNEW without authorization", "ERR CMD NO_AUTH", p.head(none, nil, nil, fnew(1, ""))},
		{"18.7/55 FNEW with an entity", "ERR CMD HAS_AUTH", p.head(k, nil, id, fnew(1, ""))},
		{"18.7/55 FNEW with an entity, without authorization", "ERR CMD NO_AUTH", p.head(none, nil, id, fnew(1, ""))},
		{"18.7/55 PING with authorization", "ERR CMD HAS_AUTH", p.head(k, nil, nil, xftp.PING{})},
		{"18.7/55 PING with an entity", "ERR CMD HAS_AUTH", p.head(none, nil, id, xftp.PING{})},
		{"18.7/55 FPUT without an entity", "ERR CMD NO_AUTH", p.head(k, nil, nil, xftp.FPUT{})},
		{"18.7/55 FGET without authorization", "ERR CMD NO_AUTH", p.head(none, nil, id, raw{text: string(xftp.FGET{Key: auth.NewX25519().Public()}.AppendCommand(nil))})},
		{"18.7/55 FGET with another kind of key", "ERR CMD SYNTAX", p.head(k, nil, id, xftp.FGET{Key: k.Public()})},
		{"18.7/55 FNEW signed by another key", "ERR AUTH", p.head(auth.NewEd25519(), nil, nil, fnew(1, ""))},
		{"18.7/55 unknown id", "ERR AUTH", p.head(k, nil, id, xftp.FDEL{})},
		{"18.7/55 id of another length", "ERR AUTH", p.head(k, nil, id[:15], xftp.FPUT{})},
		{"18.7/55 id of 255 bytes", "ERR AUTH", p.head(k, nil, make([]byte, 255), xftp.FACK{})},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := p.post(nil, test.body)
			expect(t, p.response(s, entityOf(test.body)), test.want)
			// With a body behind it the answer is the same.
			if len(test.body) == xftp.BlockSize {
				long := p.post(nil, append(bytes.Clone(test.body), make([]byte, size)...))
				if !bytes.Equal(s.body, long.body) {
					t.Error("a body changes the answer")
				}
			}
		})
	}
	t.Run("echo", func(t *testing.T) {
		corrID, _ := content(24)
		s := p.post(nil, p.head(k, corrID, id, xftp.FDEL{}))
		got, err := xftp.ParseBlock(s.body, p.session.ID)
		if err != nil || !bytes.Equal(got.CorrID, corrID) || !bytes.Equal(got.EntityID, id) || len(got.Authorization) > 0 {
			t.Error("ids are not repeated")
		}
		other := p.head(k, corrID, id, xftp.FDEL{})
		other[2+1+2+1+64+1]++
		s = p.post(nil, other)
		got, err = xftp.ParseBlock(s.body, p.session.ID)
		if err != nil || !bytes.Equal(got.CorrID, corrID) || len(got.EntityID) > 0 || string(got.Command) != "ERR SESSION" {
			t.Errorf("wrong session: %q %v", got.Command, err)
		}
	})
	t.Run("18.7/56 ids of the other party", func(t *testing.T) {
		f := p.create(size)
		expect(t, p.do(f.sender, f.id, xftp.FDEL{}, nil), "ERR AUTH")
		expect(t, p.do(f.recipient, f.id, xftp.FDEL{}, nil), "ERR AUTH")
		expect(t, p.do(f.sender, f.senderID, xftp.FACK{}, nil), "ERR AUTH")
		get := xftp.FGET{Key: auth.NewX25519().Public()}
		expect(t, p.do(f.sender, f.senderID, get, nil), "ERR AUTH")
		expect(t, p.do(f.recipient, f.senderID, get, nil), "ERR AUTH")
		expect(t, p.ask(f), "ERR NO_FILE")
	})
	t.Run("FGET with a key without a secret", func(t *testing.T) {
		f := p.create(size)
		expect(t, p.put(f, f.body), "OK")
		weak, err := key.New(key.X25519, make([]byte, 32))
		must(t, err)
		expect(t, p.do(f.recipient, f.id, xftp.FGET{Key: weak}, nil), "ERR INTERNAL")
	})
	p.quiet()
}

// entityOf is the entity of a block, which answers may repeat.
func entityOf(block []byte) []byte {
	r := wire.NewReader(block)
	content := wire.NewReader(r.Large())
	content.Byte()
	t := wire.NewReader(content.Large())
	t.Str()
	t.Str()
	t.Str()
	return t.Str()
}

// authorized is the block of a command with any authorization.
func (p *peer) authorized(authorization, entity []byte, command string) []byte {
	p.t.Helper()
	var head [xftp.BlockSize]byte
	if err := xftp.PutBlock(&head, authorization, xftp.AppendAuthorized(nil, p.session.ID, nil, entity, []byte(command))); err != nil {
		p.t.Fatal(err)
	}
	return head[:]
}
