package xftp_test

import (
	"bytes"
	"crypto/sha256"
	"io"
	"reflect"
	"testing"

	"sotto/shared/auth"
	"sotto/shared/box"
	"sotto/shared/description"
	"sotto/shared/file"
	"sotto/shared/internal/vectors"
	"sotto/shared/key"
	"sotto/shared/wire"
	"sotto/shared/xftp"
)

// conversation is one that was recorded between a browser's client and a relay: bodies in their order, with the keys of both.
type conversation struct {
	KeyHash       vectors.Hex `json:"serverKeyHash"`
	Leaf          vectors.Hex `json:"leafPrivatePKCS8"`
	Source        string      `json:"source_b64"`
	FileName      string
	Key, Nonce    vectors.Hex
	SHA512        vectors.Hex `json:"encryptedSHA512"`
	SenderText    string      `json:"senderDescription"`
	RecipientText string      `json:"recipientDescription"`
	Steps         []conversationStep

	sender, recipient *description.Replica
	chunk             []byte // the only one, which is the whole encrypted file
	challenge         []byte // of the connection's hello
}

type conversationStep struct {
	Step      string
	SessionID vectors.Hex
	Request   struct {
		Body                         string `json:"body_b64"`
		HelloHeader, HandshakeHeader bool
	}
	Response struct {
		Status int
		Body   string `json:"body_b64"`
	}
	Server struct {
		X25519    vectors.Hex `json:"serverX25519Private"`
		Ephemeral vectors.Hex `json:"ephemeralPrivate"`
		Nonce     vectors.Hex
	}
}

// TestConversationVector makes both sides of a recorded conversation again, byte for byte: the file's encryption, its
// descriptions, handshakes, commands with their signatures, responses, and the bodies of upload and download.
func TestConversationVector(t *testing.T) {
	var c conversation
	vectors.Load(t, "xftp/conversation.json", &c)
	c.prepare(t)
	for i := range c.Steps {
		s := &c.Steps[i]
		if s.Response.Status != 200 {
			t.Errorf("%s: status %d", s.Step, s.Response.Status)
		}
		switch {
		case s.Request.HelloHeader:
			c.hello(t, s)
		case s.Request.HandshakeHeader:
			c.handshake(t, s)
		default:
			c.command(t, s)
		}
	}
	t.Logf("checked %d steps", len(c.Steps))
}

// prepare encrypts the file, and reads and writes the descriptions.
func (c *conversation) prepare(t *testing.T) {
	t.Helper()
	source, h := unbase64(t, c.Source), file.Header{Name: c.FileName}
	p, err := file.Encoded(h, int64(len(source)))
	if err != nil {
		t.Fatal(err)
	}
	sizes := file.ChunkSizes(p)
	e, err := file.NewEncrypter(bytes.NewReader(source), int64(len(source)), h, int64(sizes[0]), (*[32]byte)(c.Key), (*[24]byte)(c.Nonce))
	if err != nil || len(sizes) != 1 {
		t.Fatal(err, sizes)
	}
	if c.chunk, err = io.ReadAll(e); err != nil {
		t.Fatal(err)
	}
	digest := e.Digest()
	same(t, "digest of the file", digest[:], c.SHA512)
	c.sender = c.replica(t, c.SenderText, description.Sender)
	c.recipient = c.replica(t, c.RecipientText, description.Recipient)
}

// replica returns the only replica of a description, whose other parts are the file's.
func (c *conversation) replica(t *testing.T, text string, party description.Party) *description.Replica {
	t.Helper()
	d, err := description.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	want := description.Description{
		Party: party, Size: int64(len(c.chunk)), Digest: [64]byte(c.SHA512), Key: [32]byte(c.Key), Nonce: [24]byte(c.Nonce),
		ChunkSize: uint32(len(c.chunk)),
		Chunks:    []description.Chunk{{Size: uint32(len(c.chunk)), Digest: sha256.Sum256(c.chunk), Replicas: d.Chunks[0].Replicas}},
	}
	replica := &d.Chunks[0].Replicas[0]
	if !reflect.DeepEqual(*d, want) || len(d.Chunks[0].Replicas) != 1 {
		t.Errorf("the description for the %s is another", party)
	}
	same(t, "fingerprint", replica.Server.Fingerprint, c.KeyHash)
	same(t, "description", d.Append(nil), []byte(text))
	return replica
}

func (c *conversation) hello(t *testing.T, s *conversationStep) {
	t.Helper()
	request := unbase64(t, s.Request.Body)
	content, err := wire.Unpad(request)
	if err != nil {
		t.Fatal(err)
	}
	client, err := xftp.ParseClientHello(content)
	if err != nil {
		t.Fatal(err)
	}
	same(t, s.Step, pad(t, client.AppendTo(nil)), request)
	c.challenge = client.Challenge

	response := unbase64(t, s.Response.Body)
	if content, err = wire.Unpad(response); err != nil {
		t.Fatal(err)
	}
	relay, err := xftp.ParseServerHello(content)
	if err != nil {
		t.Fatal(err)
	}
	same(t, s.Step+", session", relay.SessionID, s.SessionID)
	session, err := relay.VerifyProof([32]byte(c.KeyHash), c.challenge)
	if want := x25519(t, s.Server.X25519); err != nil || session != want.Public() {
		t.Errorf("%s: %v", s.Step, err)
	}
	relay.Proof = authorize(t, privateKey(t, c.Leaf), xftp.ProofMessage(c.challenge, s.SessionID))
	same(t, s.Step+", answered", pad(t, relay.AppendTo(nil)), response)
}

func (c *conversation) handshake(t *testing.T, s *conversationStep) {
	t.Helper()
	request := unbase64(t, s.Request.Body)
	content, err := wire.Unpad(request)
	if err != nil {
		t.Fatal(err)
	}
	client, err := xftp.ParseClientHandshake(content)
	if err != nil || client.Version != xftp.Versions.Max {
		t.Fatalf("version %d: %v", client.Version, err)
	}
	same(t, s.Step, client.KeyHash, c.KeyHash)
	same(t, s.Step, pad(t, client.AppendTo(nil)), request)
	same(t, s.Step+", answered", unbase64(t, s.Response.Body), nil)
}

// command checks a command and its response.
func (c *conversation) command(t *testing.T, s *conversationStep) {
	t.Helper()
	request, response := unbase64(t, s.Request.Body), unbase64(t, s.Response.Body)
	got, cmd, err := xftp.ParseRequest(request[:xftp.BlockSize], s.SessionID)
	if err != nil {
		t.Fatalf("%s: %v", s.Step, err)
	}
	k, id := c.credentials(cmd)
	same(t, s.Step+", entity", got.EntityID, id)
	authorized := xftp.AppendAuthorized(nil, s.SessionID, got.CorrID, id, cmd.AppendCommand(nil))
	var head [xftp.BlockSize]byte
	if err := xftp.PutBlock(&head, authorize(t, k, authorized), authorized); err != nil {
		t.Fatal(err)
	}
	var upload, download []byte
	r := c.response(t, s, cmd, &upload, &download)
	same(t, s.Step, append(head[:], upload...), request)
	xftp.PutResponse(&head, xftp.Versions.Max, s.SessionID, got.CorrID, id, r)
	same(t, s.Step+", answered", append(head[:], download...), response)
	answer, err := xftp.ParseBlock(response[:xftp.BlockSize], s.SessionID)
	if err != nil {
		t.Fatal(err)
	}
	if parsed, err := xftp.ParseResponse(answer.Command); err != nil || !reflect.DeepEqual(parsed, r) {
		t.Errorf("%s: another response, %v", s.Step, err)
	}
}

// credentials returns what the client signs a command with, and the id it sends.
func (c *conversation) credentials(cmd xftp.Command) (k auth.Key, id []byte) {
	switch cmd.Party() {
	case xftp.Creator:
		return c.sender.Key, nil
	case xftp.Sender:
		return c.sender.Key, c.sender.ID
	case xftp.Recipient:
		return c.recipient.Key, c.recipient.ID
	}
	return auth.Key{}, nil
}

// response returns what the relay answers, and the bodies of upload and download.
func (c *conversation) response(t *testing.T, s *conversationStep, cmd xftp.Command, upload, download *[]byte) xftp.Response {
	t.Helper()
	switch cmd := cmd.(type) {
	case xftp.PING:
		return xftp.PONG{}
	case xftp.FNEW:
		digest := sha256.Sum256(c.chunk)
		want := xftp.FNEW{
			File:       xftp.FileInfo{SenderKey: c.sender.Key.Public(), Size: uint32(len(c.chunk)), Digest: digest[:]},
			Recipients: []key.Public{c.recipient.Key.Public()},
		}
		if !reflect.DeepEqual(cmd, want) {
			t.Errorf("%s registers another chunk", s.Step)
		}
		return xftp.SIDS{SenderID: c.sender.ID, RecipientIDs: []wire.EntityID{c.recipient.ID}}
	case xftp.FPUT:
		*upload = c.chunk
		return xftp.OK{}
	case xftp.FGET:
		if s.Server.Ephemeral == nil { // after it was deleted
			return xftp.ERR{Err: xftp.ErrAuth}
		}
		ephemeral, nonce := x25519(t, s.Server.Ephemeral), [box.NonceSize]byte(s.Server.Nonce)
		secret, err := box.DH(cmd.Key, ephemeral.ECDH())
		if err != nil {
			t.Fatal(err)
		}
		sealer := box.NewSealer(&secret, &nonce)
		*download = sealer.Seal(nil, c.chunk)
		tag := sealer.Tag()
		*download = append(*download, tag[:]...)
		return xftp.FILE{Key: ephemeral.Public(), Nonce: nonce}
	case xftp.FDEL:
		return xftp.OK{}
	}
	t.Fatalf("%s is a command that the conversation should not have", cmd.Tag())
	return nil
}

func x25519(t *testing.T, raw []byte) auth.Key {
	t.Helper()
	k, err := auth.NewKey(key.X25519, raw)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func authorize(t *testing.T, k auth.Key, message []byte) []byte {
	t.Helper()
	a, err := k.Authorize(key.Public{}, nil, message)
	if err != nil {
		t.Fatal(err)
	}
	return a
}
