package smp_test

import (
	"bytes"
	"reflect"
	"testing"

	"sotto/shared/box"
	"sotto/shared/internal/vectors"
	"sotto/shared/smp"
	"sotto/shared/wire"
)

type proxyVector struct {
	Description string       `json:"description"`
	Version     wire.Version `json:"forwarded_version"`
	Body        vectors.Hex  `json:"body"`
	SenderID    vectors.Hex  `json:"sender_id"`
	CommandKey  string       `json:"command_key"`
	CorrID      vectors.Hex  `json:"corr_id_and_client_nonce"`
	ProxyCorrID vectors.Hex  `json:"proxy_corr_id_and_nonce"`
	Secret      vectors.Hex  `json:"client_relay_secret"`
	ProxySecret vectors.Hex  `json:"proxy_relay_secret"`

	InnerBlock vectors.Hex `json:"inner_block"`
	Padded     int         `json:"padded_inner_length"`
	EncLength  int         `json:"encrypted_transmission_length"`
	EncSum     string      `json:"encrypted_transmission_sha256"`
	EncStart   vectors.Hex `json:"encrypted_transmission_start"`
	PFWDLength int         `json:"pfwd_command_length"`
	PFWDSum    string      `json:"pfwd_command_sha256"`
	PFWDStart  vectors.Hex `json:"pfwd_command_start"`
	FwdLength  int         `json:"forward_transmission_length"`
	FwdStart   vectors.Hex `json:"forward_transmission_start"`
	RFWD       vectors.Hex `json:"rfwd_command"`
	RFWDSum    string      `json:"rfwd_command_sha256"`

	Response      vectors.Hex `json:"response"`
	ResponseBlock vectors.Hex `json:"response_inner_block"`
	EncRespSum    string      `json:"encrypted_response_sha256"`
	EncRespStart  vectors.Hex `json:"encrypted_response_start"`
	RRES          vectors.Hex `json:"rres_response"`
	RRESSum       string      `json:"rres_response_sha256"`
	PRESLength    int         `json:"pres_response_length"`
	PRESSum       string      `json:"pres_response_sha256"`
	PRESStart     vectors.Hex `json:"pres_response_start"`
}

// checkLong compares what the vectors do not give in full.
func checkLong(t *testing.T, what string, got []byte, length int, hash string, start []byte) {
	t.Helper()
	if len(got) != length || hash != "" && sum(got) != hash || !bytes.HasPrefix(got, start) {
		t.Errorf("%s of %d bytes differs: %x...", what, len(got), got[:min(len(got), 64)])
	}
}

func TestProxyVectors(t *testing.T) {
	keys := loadKeys(t)
	var cases []proxyVector
	vectors.Load(t, "smp/proxy.json", &cases)
	for _, c := range cases {
		t.Run(c.Description, func(t *testing.T) {
			if c.Padded != smp.PaddedForwardSize || c.EncLength != smp.EncryptedForwardSize {
				t.Errorf("sizes %d and %d", c.Padded, c.EncLength)
			}
			c.checkSending(t, keys)
			c.checkReceiving(t, keys)
			c.checkAnswering(t)
		})
	}
	t.Logf("checked %d cases, each of 4 layers both ways", len(cases))
}

func (c proxyVector) secrets() (client, proxy *[32]byte) {
	return (*[32]byte)(c.Secret), (*[32]byte)(c.ProxySecret)
}

// checkSending makes the layers as the sender and the proxy do.
func (c proxyVector) checkSending(t *testing.T, keys keyVectors) {
	t.Helper()
	secret, proxySecret := c.secrets()
	nonce, proxyNonce := box.NonceFrom(c.CorrID), box.NonceFrom(c.ProxyCorrID)
	enc, err := box.SealPadded(nil, c.InnerBlock, &nonce, secret, smp.PaddedForwardSize)
	if err != nil {
		t.Fatal(err)
	}
	checkLong(t, "encrypted transmission", enc, c.EncLength, c.EncSum, c.EncStart)
	pfwd := smp.PFWD{Version: c.Version, Key: keys.public(t, c.CommandKey), Encrypted: enc}
	encoded := pfwd.AppendCommand(nil, smp.MaxVersion)
	checkLong(t, "PFWD", encoded, c.PFWDLength, c.PFWDSum, c.PFWDStart)
	if parsed, err := smp.ParseCommand(smp.MaxVersion, encoded); err != nil || !reflect.DeepEqual(parsed, smp.Command(pfwd)) {
		t.Errorf("PFWD: %v, %v", parsed, err)
	}
	fwd := smp.ForwardTransmission{
		CorrID: wire.CorrID(c.CorrID), Version: pfwd.Version, Key: pfwd.Key, Encrypted: pfwd.Encrypted,
	}.AppendTo(nil)
	checkLong(t, "forward transmission", fwd, c.FwdLength, "", c.FwdStart)
	for n := range len(fwd) - len(enc) {
		if _, err := smp.ParseForwardTransmission(fwd[:n]); err != wire.ErrSyntax {
			t.Errorf("first %d bytes of a forward transmission: %v", n, err)
		}
	}
	rfwd := smp.RFWD{Encrypted: box.Seal(nil, fwd, &proxyNonce, proxySecret)}.AppendCommand(nil, smp.MaxVersion)
	checkBytes(t, "RFWD", rfwd, c.RFWD)
	if sum(rfwd) != c.RFWDSum {
		t.Error("the sum of RFWD differs")
	}
}

// checkReceiving opens the layers of RFWD as the relay does.
func (c proxyVector) checkReceiving(t *testing.T, keys keyVectors) {
	t.Helper()
	secret, proxySecret := c.secrets()
	command, err := smp.ParseCommand(smp.MaxVersion, c.RFWD)
	if err != nil {
		t.Fatal(err)
	}
	proxyNonce := box.NonceFrom(c.ProxyCorrID)
	opened, ok := box.Open(nil, command.(smp.RFWD).Encrypted, &proxyNonce, proxySecret)
	if !ok {
		t.Fatal("RFWD does not open")
	}
	fwd, err := smp.ParseForwardTransmission(opened)
	if err != nil || fwd.Version != c.Version || fwd.Key != keys.public(t, c.CommandKey) {
		t.Fatalf("forward transmission: %v, %v", fwd, err)
	}
	nonce := box.NonceFrom(fwd.CorrID)
	inner, err := box.OpenPadded(nil, fwd.Encrypted, &nonce, secret)
	if err != nil {
		t.Fatal(err)
	}
	checkBytes(t, "inner block", inner, c.InnerBlock)
	transmission := onlyTransmission(t, fwd.Version, inner)
	checkBytes(t, "entity", transmission.EntityID, c.SenderID)
	parsed, err := smp.ParseCommand(fwd.Version, transmission.Command)
	if send, ok := parsed.(smp.SEND); err != nil || !ok || !bytes.Equal(send.Body, c.Body) {
		t.Errorf("inner command: %v, %v", parsed, err)
	}
}

func onlyTransmission(t *testing.T, v wire.Version, payload []byte) wire.Transmission {
	t.Helper()
	batch, err := wire.ParseBatch(payload)
	if err != nil || batch.Len() != 1 {
		t.Fatalf("inner batch: %v", err)
	}
	b, _ := batch.Next()
	transmission, err := wire.ParseTransmission(v, true, b)
	if err != nil {
		t.Fatal(err)
	}
	return transmission
}

// checkAnswering makes the layers of the response as the relay does, and opens them as proxy and sender do.
func (c proxyVector) checkAnswering(t *testing.T) {
	t.Helper()
	secret, proxySecret := c.secrets()
	nonce, proxyNonce := box.Reverse(box.NonceFrom(c.CorrID)), box.Reverse(box.NonceFrom(c.ProxyCorrID))
	enc, err := box.SealPadded(nil, c.ResponseBlock, &nonce, secret, smp.PaddedForwardSize)
	if err != nil {
		t.Fatal(err)
	}
	checkLong(t, "encrypted response", enc, smp.EncryptedForwardSize, c.EncRespSum, c.EncRespStart)
	answer := smp.ForwardResponse{CorrID: wire.CorrID(c.CorrID), Encrypted: enc}
	rres := smp.RRES{Encrypted: box.Seal(nil, answer.AppendTo(nil), &proxyNonce, proxySecret)}
	checkBytes(t, "RRES", rres.AppendResponse(nil, smp.MaxVersion), c.RRES)
	if sum(c.RRES) != c.RRESSum {
		t.Error("the sum of RRES differs")
	}

	parsed, err := smp.ParseResponse(smp.MaxVersion, c.RRES)
	if err != nil {
		t.Fatal(err)
	}
	opened, ok := box.Open(nil, parsed.(smp.RRES).Encrypted, &proxyNonce, proxySecret)
	if !ok {
		t.Fatal("RRES does not open")
	}
	forward, err := smp.ParseForwardResponse(opened)
	if err != nil || !reflect.DeepEqual(forward, answer) {
		t.Errorf("forward response: %v, %v", forward, err)
	}
	for n := range opened[:1+len(c.CorrID)] {
		if _, err := smp.ParseForwardResponse(opened[:n]); err != wire.ErrSyntax {
			t.Errorf("first %d bytes of a forward response: %v", n, err)
		}
	}
	pres := smp.PRES{Encrypted: forward.Encrypted}.AppendResponse(nil, smp.MaxVersion)
	checkLong(t, "PRES", pres, c.PRESLength, c.PRESSum, c.PRESStart)
	inner, err := box.OpenPadded(nil, forward.Encrypted, &nonce, secret)
	if err != nil {
		t.Fatal(err)
	}
	checkBytes(t, "response block", inner, c.ResponseBlock)
	response := onlyTransmission(t, c.Version, inner).Command
	checkBytes(t, "response", response, c.Response)
	if _, err := smp.ParseResponse(c.Version, response); err != nil {
		t.Error(err)
	}
}
