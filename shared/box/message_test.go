package box

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"sotto/shared/internal/vectors"
	"sotto/shared/key"
	"sotto/shared/wire"
)

const (
	paddedBody     = 16106 // smp.md 10.1
	paddedMetadata = 128   // smp.md 10.4
	paddedInner    = 16226 // smp.md 11.3
)

type messageVector struct {
	Body            string
	EncryptedLength int         `json:"encrypted_length"`
	EncryptedSum    string      `json:"encrypted_sha256"`
	EncryptedStart  string      `json:"encrypted_start"`
	Encrypted       vectors.Hex // full_example only
	MessageID       vectors.Hex `json:"message_id"`
	Notify          bool        `json:"notification_flag"`
	Timestamp       int64
	Plain           vectors.Hex // quota_message only
}

type messageVectors struct {
	Cases        []messageVector
	Full         messageVector `json:"full_example"`
	Quota        messageVector `json:"quota_message"`
	RecipientDH  string        `json:"recipient_dh"`
	ServerDH     string        `json:"server_dh"`
	Secret       vectors.Hex   `json:"shared_secret"`
	Notification struct {
		Cases []struct {
			Encrypted, Nonce, Plain vectors.Hex
			PaddedLength            int `json:"padded_length"`
		}
		RecipientDH string      `json:"recipient_ntf_dh"`
		ServerDH    string      `json:"server_ntf_dh"`
		Secret      vectors.Hex `json:"shared_secret"`
	}
}

// plain returns the content of the message before padding.
func (m messageVector) plain(t *testing.T) []byte {
	t.Helper()
	if m.Plain != nil {
		return m.Plain
	}
	body, err := hex.DecodeString(m.Body)
	if strings.HasSuffix(m.Body, " times 'm'") {
		body, err = bytes.Repeat([]byte("m"), 16048), nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return append(append(wire.AppendBool(wire.AppendInt64(nil, m.Timestamp), m.Notify), ' '), body...)
}

func TestMessageVectors(t *testing.T) {
	var v messageVectors
	vectors.Load(t, "smp/message_encryption.json", &v)
	secret := agreeNamed(t, vectors.Keys(t), v.RecipientDH, v.ServerDH)
	if !bytes.Equal(secret[:], v.Secret) {
		t.Errorf("secret %x", secret)
	}
	cases := append(v.Cases, v.Full, v.Quota)
	for i, c := range cases {
		nonce, plain := NonceFrom(c.MessageID), c.plain(t)
		sealed, err := SealPadded(nil, plain, &nonce, &secret, paddedBody)
		if err != nil {
			t.Fatal(err)
		}
		checkSum(t, "message", sealed, c.EncryptedLength, c.EncryptedStart, c.EncryptedSum)
		if c.Encrypted != nil && !bytes.Equal(sealed, c.Encrypted) {
			t.Errorf("case %d differs", i)
		}
		if got, err := OpenPadded(nil, sealed, &nonce, &secret); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("case %d does not come back: %v", i, err)
		}
	}
	n := v.Notification
	secret = agreeNamed(t, vectors.Keys(t), n.RecipientDH, n.ServerDH)
	if !bytes.Equal(secret[:], n.Secret) {
		t.Errorf("notification secret %x", secret)
	}
	for i, c := range n.Cases {
		nonce := NonceFrom(c.Nonce)
		if got, err := SealPadded(nil, c.Plain, &nonce, &secret, c.PaddedLength); err != nil || !bytes.Equal(got, c.Encrypted) {
			t.Errorf("notification %d: %x, %v", i, got, err)
		}
		if got, err := OpenPadded(nil, c.Encrypted, &nonce, &secret); err != nil || !bytes.Equal(got, c.Plain) {
			t.Errorf("notification %d does not come back: %x, %v", i, got, err)
		}
	}
	t.Logf("checked %d cases", len(cases)+len(n.Cases))
}

type proxyVector struct {
	Version       wire.Version `json:"forwarded_version"`
	Secret        vectors.Hex  `json:"client_relay_secret"`
	CommandKey    string       `json:"command_key"`
	ProxyKey      string       `json:"proxy_session_key"`
	RelayKey      string       `json:"relay_session_key"`
	ProxySecret   vectors.Hex  `json:"proxy_relay_secret"`
	Nonce         vectors.Hex  `json:"corr_id_and_client_nonce"`
	ProxyNonce    vectors.Hex  `json:"proxy_corr_id_and_nonce"`
	Inner         vectors.Hex  `json:"inner_block"`
	PaddedLength  int          `json:"padded_inner_length"`
	EncT          int          `json:"encrypted_transmission_length"`
	EncTSum       string       `json:"encrypted_transmission_sha256"`
	EncTStart     string       `json:"encrypted_transmission_start"`
	Forward       int          `json:"forward_transmission_length"`
	ForwardStart  string       `json:"forward_transmission_start"`
	RFWD          vectors.Hex  `json:"rfwd_command"`
	ResponseInner vectors.Hex  `json:"response_inner_block"`
	EncRSum       string       `json:"encrypted_response_sha256"`
	EncRStart     string       `json:"encrypted_response_start"`
	RRES          vectors.Hex  `json:"rres_response"`
}

// TestProxyVectors follows a command through the two layers of the proxy and its response back.
func TestProxyVectors(t *testing.T) {
	var v []proxyVector
	vectors.Load(t, "smp/proxy.json", &v)
	keys := vectors.Keys(t)
	for _, c := range v {
		secret := agreeNamed(t, keys, c.CommandKey, c.RelayKey)
		outer := agreeNamed(t, keys, c.ProxyKey, c.RelayKey)
		if !bytes.Equal(secret[:], c.Secret) || !bytes.Equal(outer[:], c.ProxySecret) {
			t.Errorf("secrets %x and %x", secret, outer)
		}
		pub, err := key.Parse(keys[c.CommandKey].SPKI)
		if err != nil {
			t.Fatal(err)
		}
		p := proxied{
			secret: secret, outer: outer, n: NonceFrom(c.Nonce), r: NonceFrom(c.ProxyNonce), corrID: c.Nonce,
			version: c.Version, key: pub,
		}
		encT, fwd, boxed := p.forward(t, c.Inner)
		checkSum(t, "encT", encT, c.EncT, c.EncTStart, c.EncTSum)
		checkSum(t, "forward", fwd, c.Forward, c.ForwardStart, "")
		if !bytes.Equal(append([]byte("RFWD "), boxed...), c.RFWD) {
			t.Error("RFWD differs")
		}
		encR, back := p.back(t, c.ResponseInner)
		checkSum(t, "encR", encR, 0, c.EncRStart, c.EncRSum)
		if !bytes.Equal(append([]byte("RRES "), back...), c.RRES) {
			t.Error("RRES differs")
		}
		if got, ok := Open(nil, c.RFWD[5:], &p.r, &outer); !ok || !bytes.Equal(got, fwd) {
			t.Error("RFWD does not open")
		}
		if got, err := OpenPadded(nil, encT, &p.n, &secret); err != nil || !bytes.Equal(got, c.Inner) {
			t.Errorf("encT does not open: %v", err)
		}
		n, r := Reverse(p.n), Reverse(p.r)
		opened, ok := Open(nil, c.RRES[5:], &r, &outer)
		if !ok || !bytes.HasSuffix(opened, encR) {
			t.Error("RRES does not open")
		}
		if got, err := OpenPadded(nil, encR, &n, &secret); err != nil || !bytes.Equal(got, c.ResponseInner) {
			t.Errorf("encR does not open: %v", err)
		}
	}
	t.Logf("checked %d cases", len(v))
}

// proxied is what the layers of a proxied command are made with.
//
// Spec: smp.md 11.3
// Spec: smp.md 11.5
type proxied struct {
	secret, outer [KeySize]byte
	n, r          [NonceSize]byte
	corrID        []byte
	version       wire.Version
	key           key.Public
}

func (p *proxied) forward(t *testing.T, inner []byte) (encT, fwd, boxed []byte) {
	t.Helper()
	encT, err := SealPadded(nil, inner, &p.n, &p.secret, paddedInner)
	if err != nil {
		t.Fatal(err)
	}
	fwd = append(p.key.AppendWire(wire.AppendVersion(wire.AppendStr(nil, p.corrID), p.version)), encT...)
	return encT, fwd, Seal(nil, fwd, &p.r, &p.outer)
}

func (p *proxied) back(t *testing.T, inner []byte) (encR, boxed []byte) {
	t.Helper()
	n, r := Reverse(p.n), Reverse(p.r)
	encR, err := SealPadded(nil, inner, &n, &p.secret, paddedInner)
	if err != nil {
		t.Fatal(err)
	}
	return encR, Seal(nil, append(wire.AppendStr(nil, p.corrID), encR...), &r, &p.outer)
}
