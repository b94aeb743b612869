package client

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"errors"
	"fmt"
	"testing"

	"sotto/shared/auth"
	"sotto/shared/box"
	"sotto/shared/key"
	"sotto/shared/smp"
	"sotto/shared/transport"
	"sotto/shared/wire"
)

// one returns the only transmission of the next block, as it was sent.
func (p *peer) one() []byte {
	var block transport.Block
	defer block.Release()
	payload, err := p.blocks.ReadBlock(&block)
	if err != nil {
		p.t.Errorf("no block: %v", err)
		return nil
	}
	batch, err := wire.ParseBatch(payload)
	if err != nil || batch.Len() != 1 {
		p.t.Errorf("a block of %d: %v", batch.Len(), err)
		return nil
	}
	b, _ := batch.Next()
	return bytes.Clone(b)
}

// encoding is what a version says, apart from ids and keys. Spec: smp.md 9.2
type encoding struct {
	version   wire.Version
	newTail   string // of NEW after the keys: mode messaging, subscribed, no password
	withPass  string // likewise, with the password "pass"
	idsTail   string // of IDS after the relay's key
	subscribe string // the answer to SUB
	maxBody   int
	mode      smp.QueueMode
}

var encodings = []encoding{
	{6, "S", "A\x04passS", "", "OK", 16088, smp.ModeNone},
	{7, "S", "A\x04passS", "", "OK", 16088, smp.ModeNone},
	{8, "S", "A\x04passS", "", "OK", 16064, smp.ModeNone},
	{9, "0ST", "1\x04passST", "T", "OK", 16064, smp.ModeMessaging},
	{11, "0ST", "1\x04passST", "T", "OK", 16048, smp.ModeMessaging},
	{14, "0ST", "1\x04passST", "T", "OK", 16048, smp.ModeMessaging},
	{15, "0S1M0", "1\x04passS1M0", "1M0", "OK", 16048, smp.ModeMessaging},
	{16, "0S1M0", "1\x04passS1M0", "1M00", "SOK 0", 16048, smp.ModeMessaging},
	{18, "0S1M00", "1\x04passS1M00", "1M000", "SOK 0", 16048, smp.ModeMessaging},
}

// checkTransmission takes the authorization off a transmission by hand, checks it, and returns what follows.
func (p *peer) checkTransmission(b []byte, k key.Public, size int) []byte {
	p.t.Helper()
	if len(b) < 1+size || int(b[0]) != size {
		p.t.Errorf("authorization does not have %d bytes", size)
		return nil
	}
	authorization, rest := b[1:1+size], b[1+size:]
	if p.version >= 16 && size > 0 {
		if rest[0] != '0' {
			p.t.Error("no empty slot for a service signature")
		}
		rest = rest[1:]
	}
	session := append([]byte{byte(len(p.session.ID))}, p.session.ID...)
	if p.version == 6 {
		if !bytes.HasPrefix(rest, session) {
			p.t.Error("no session id")
		}
		rest = rest[len(session):]
	}
	if rest[0] != 24 {
		p.t.Errorf("correlation id of %d bytes", rest[0])
	}
	if size > 0 && !auth.Verify(k, p.private, rest[1:25], authorization, append(session, rest...)) {
		p.t.Error("wrong authorization")
	}
	return rest
}

// reply sends a response to the transmission that began with correlation id and entity id.
func (p *peer) reply(rest []byte, response string) {
	b := []byte{0}
	if p.version == 6 {
		b = append(append(b, byte(len(p.session.ID))), p.session.ID...)
	}
	ids := 25 + 1 + int(rest[25])
	b = append(append(b, rest[:ids]...), response...)
	payload := append([]byte{1, byte(len(b) >> 8), byte(len(b))}, b...)
	if err := p.blocks.WriteBlock(payload); err != nil {
		p.t.Error(err)
	}
}

// life answers NEW, SUB, SEND and GET for one queue, checking every byte it can.
func (e *encoding) life(p *peer, pass bool, k auth.Key, size int) {
	recipient, sender := padded(1), padded(2)
	private, _ := ecdh.X25519().GenerateKey(rand.Reader)
	public, _ := key.FromECDH(private.PublicKey())

	rest := p.checkTransmission(p.one(), k.Public(), size)
	r := wire.NewReader(rest[25:])
	r.Take(5) // no entity, "NEW "
	if got := key.ReadAuth(&r); got != k.Public() {
		p.t.Error("NEW has another key")
	}
	dh := key.ReadDH(&r)
	want := e.newTail
	if pass {
		want = e.withPass
	}
	if got := string(r.Tail()); got != want {
		p.t.Errorf("NEW ends in %q, want %q", got, want)
	}
	ids := append([]byte("IDS "), wire.AppendStr(wire.AppendStr(nil, recipient), sender)...)
	p.reply(rest, string(public.AppendWire(ids))+e.idsTail)

	rest = p.checkTransmission(p.one(), k.Public(), size)
	if !bytes.Equal(rest[26:50], recipient) || string(rest[50:]) != "SUB" {
		p.t.Errorf("got %q for SUB", rest[50:])
	}
	p.reply(rest, e.subscribe)

	rest = p.checkTransmission(p.one(), key.Public{}, 0)
	if !bytes.Equal(rest[26:50], sender) || !bytes.HasPrefix(rest[50:], []byte("SEND T ")) || len(rest) != 57+e.maxBody {
		p.t.Errorf("SEND of %d bytes", len(rest))
	}
	p.reply(rest, "OK")
	body := rest[57:]

	rest = p.checkTransmission(p.one(), k.Public(), size)
	if string(rest[50:]) != "GET" {
		p.t.Errorf("got %q for GET", rest[50:])
	}
	secret, _ := box.DH(dh, private)
	p.deliver(rest, body, &secret)
	p.receive()
}

// deliver answers with body as a message.
func (p *peer) deliver(rest, body []byte, secret *[box.KeySize]byte) {
	id := [24]byte{1, 2, 3}
	sealed, err := box.SealPadded(nil, smp.AppendReceived(nil, 1735689600, true, body), &id, secret, smp.PaddedBodySize)
	if err != nil {
		p.t.Error(err)
	}
	p.reply(rest, "MSG \x18"+string(id[:])+string(sealed))
}

func TestVersions(t *testing.T) {
	keys := []struct {
		key  auth.Key
		size int
	}{{auth.NewEd25519(), 64}, {auth.NewX25519(), 80}, {auth.NewEd448(), 114}}
	checked := 0
	for _, e := range encodings {
		for _, k := range keys {
			if e.version < 7 && k.size == 80 {
				continue // the authenticator came with version 7
			}
			for _, pass := range []bool{false, true} {
				t.Run(fmt.Sprintf("%d/%v/password=%v", e.version, k.key.Public().Algorithm(), pass), func(t *testing.T) {
					e.check(t, k.key, k.size, pass)
				})
				checked++
			}
		}
	}
	t.Logf("checked %d cases", checked)
}

func (e *encoding) check(t *testing.T, k auth.Key, size int, pass bool) {
	f := (&fake{script: func(p *peer) { e.life(p, pass, k, size) }}).start(t)
	options := only(e.version)
	if pass {
		options.BasicAuth = smp.BasicAuth("pass")
	}
	c := f.dial(t, options)
	ctx := testContext(t)
	q, err := c.NewQueue(ctx, QueueOptions{Mode: smp.ModeMessaging, Subscribe: true, Key: k})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(q.RecipientID, padded(1)) || !bytes.Equal(q.SenderID, padded(2)) || q.Mode != e.mode || q.LinkID != nil {
		t.Errorf("queue has mode %q", q.Mode)
	}
	if err := c.Subscribe(ctx, q); err != nil {
		t.Error(err)
	}
	body := make([]byte, e.maxBody)
	_, _ = rand.Read(body)
	if err := c.Send(ctx, q.SenderID, auth.Key{}, true, body); err != nil {
		t.Error(err)
	}
	m, err := c.Get(ctx, q)
	if err != nil || m == nil {
		t.Fatal(m, err)
	}
	defer m.Release()
	if m.Quota || !m.Notify || m.Time != 1735689600 || !bytes.Equal(m.Body, body) || !bytes.HasPrefix(m.ID, []byte{1, 2, 3}) {
		t.Error("the message is another")
	}
}

func TestAuthenticatorNeedsSessionKey(t *testing.T) {
	f := (&fake{script: ok}).start(t)
	c := f.dial(t, only(6))
	if len(c.Conn().Relay().SignedKey) == 0 {
		t.Fatal("a relay of all versions sends its key")
	}
	f.versions = wire.VersionRange{Min: 6, Max: 6}
	c = f.dial(t, Options{})
	_, err := c.NewQueue(testContext(t), QueueOptions{Key: auth.NewX25519()})
	if !errors.Is(err, box.ErrAgreement) {
		t.Errorf("got %v", err)
	}
}

func TestPasswordOfAddress(t *testing.T) {
	passwords := make(chan string, 1)
	f := (&fake{script: func(p *peer) {
		p.each(func(t wire.Transmission) smp.Response {
			cmd, _ := smp.ParseCommand(p.version, t.Command)
			passwords <- fmt.Sprint(cmd.(smp.NEW).HasBasicAuth, string(cmd.(smp.NEW).BasicAuth))
			return smp.ERR{Err: smp.ErrAuth}
		})
	}}).start(t)
	server := f.server()
	server.Password = smp.BasicAuth("secret")
	for _, tc := range []struct {
		options Options
		want    string
	}{{Options{}, "truesecret"}, {Options{BasicAuth: smp.BasicAuth("other")}, "trueother"}} {
		c, err := Dial(testContext(t), server, tc.options)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.NewQueue(testContext(t), QueueOptions{}); !errors.Is(err, smp.ErrAuth) {
			t.Error(err)
		}
		if got := <-passwords; got != tc.want {
			t.Errorf("got %s, want %s", got, tc.want)
		}
		_ = c.Close()
	}
}

func TestWrongIDS(t *testing.T) {
	public := auth.NewX25519().Public()
	right := smp.IDS{RecipientID: padded(1), SenderID: padded(2), DHKey: public, Mode: smp.ModeMessaging}
	contact, link, notifier, low := right, right, right, right
	contact.Mode = smp.ModeContact
	link.LinkID = padded(3)
	notifier.Notifier = &smp.NID{NotifierID: padded(4), DHKey: public}
	low.DHKey, _ = key.New(key.X25519, make([]byte, 32))
	for name, ids := range map[string]smp.IDS{"mode": contact, "link": link, "notifier": notifier, "weak key": low} {
		f := (&fake{script: func(p *peer) { p.each(func(wire.Transmission) smp.Response { return ids }) }}).start(t)
		c := f.dial(t, Options{})
		var response *ResponseError
		if _, err := c.NewQueue(testContext(t), QueueOptions{Mode: smp.ModeMessaging}); !errors.As(err, &response) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	q := &Queue{}
	id := [24]byte{9}
	seal := func(plain []byte) []byte {
		b, err := box.SealPadded(nil, plain, &id, &q.Secret, smp.PaddedBodySize)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	good := seal(smp.AppendQuota(nil, 77))
	m, err := q.Open(smp.MSG{MessageID: id[:], EncryptedBody: good})
	if err != nil || !m.Quota || m.Time != 77 {
		t.Fatal(m, err)
	}
	bad := map[string]smp.MSG{
		"other id":  {MessageID: []byte{8}, EncryptedBody: good},
		"too short": {MessageID: id[:], EncryptedBody: good[1:]},
		"changed":   {MessageID: id[:], EncryptedBody: append(good[:16121:16121], good[16121]^1)},
		"nonsense":  {MessageID: id[:], EncryptedBody: seal([]byte("nonsense"))},
		"empty":     {},
	}
	for name, msg := range bad {
		var response *ResponseError
		if _, err := q.Open(msg); !errors.As(err, &response) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestOpenNotification(t *testing.T) {
	q := &Queue{NotifierSecret: [32]byte{5}}
	n := smp.NMSG{Nonce: [24]byte{3}}
	meta := smp.NotificationMeta{MessageID: []byte("a message id of 24 bytes"), Time: 99}
	var err error
	n.EncryptedMeta, err = box.SealPadded(nil, meta.AppendTo(nil), &n.Nonce, &q.NotifierSecret, smp.PaddedMetaSize)
	if err != nil {
		t.Fatal(err)
	}
	got, err := q.OpenNotification(n)
	if err != nil || got.Time != 99 || !bytes.Equal(got.MessageID, meta.MessageID) {
		t.Error(err)
	}
	n.EncryptedMeta[3] ^= 1
	var response *ResponseError
	if _, err := q.OpenNotification(n); !errors.As(err, &response) {
		t.Errorf("changed: %v", err)
	}
}
