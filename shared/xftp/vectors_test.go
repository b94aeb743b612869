package xftp_test

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"sotto/shared/auth"
	"sotto/shared/internal/vectors"
	"sotto/shared/key"
	"sotto/shared/smp"
	"sotto/shared/wire"
	"sotto/shared/xftp"
)

func unbase64(t testing.TB, s string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func parseKey(t testing.TB, der []byte) key.Public {
	t.Helper()
	k, err := key.Parse(der)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func same(t testing.TB, what string, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Errorf("%s:\n got %x\nwant %x", what, got, want)
	}
}

type commandVector struct {
	Command string
	SndKey  vectors.Hex
	Size    uint32
	Digest  vectors.Hex
	RcvKeys []vectors.Hex
	Auth    vectors.Hex
	DHKey   vectors.Hex
	Hex     vectors.Hex
}

func (c commandVector) command(t testing.TB) xftp.Command {
	t.Helper()
	var keys []key.Public
	for _, der := range c.RcvKeys {
		keys = append(keys, parseKey(t, der))
	}
	switch c.Command {
	case "FNEW":
		f := xftp.FNEW{
			File:       xftp.FileInfo{SenderKey: parseKey(t, c.SndKey), Size: c.Size, Digest: c.Digest},
			Recipients: keys,
		}
		if c.Auth != nil {
			f.HasBasicAuth, f.BasicAuth = true, xftp.BasicAuth(c.Auth)
		}
		return f
	case "FADD":
		return xftp.FADD{Recipients: keys}
	case "FPUT":
		return xftp.FPUT{}
	case "FDEL":
		return xftp.FDEL{}
	case "FGET":
		return xftp.FGET{Key: parseKey(t, c.DHKey)}
	case "FACK":
		return xftp.FACK{}
	case "PING":
		return xftp.PING{}
	}
	t.Fatalf("unknown command %s in the vectors", c.Command)
	return nil
}

func loadCommands(t testing.TB) []commandVector {
	t.Helper()
	var v struct{ Commands []commandVector }
	vectors.Load(t, "xftp/commands.json", &v)
	return v.Commands
}

func TestCommandVectors(t *testing.T) {
	all := loadCommands(t)
	for _, c := range all {
		want := c.command(t)
		same(t, c.Command, want.AppendCommand(nil), c.Hex)
		got, err := xftp.ParseCommand(c.Hex)
		if err != nil || got.Tag() != c.Command {
			t.Fatalf("%s: %v", c.Command, err)
		}
		same(t, c.Command+", parsed", got.AppendCommand(nil), c.Hex)
		for n := range c.Hex {
			if again, err := xftp.ParseCommand(c.Hex[:n]); err == nil {
				same(t, c.Command+", a prefix", again.AppendCommand(nil), c.Hex[:n])
			} else if err != xftp.CmdSyntax && err != xftp.CmdUnknown {
				t.Errorf("%s, a prefix: %v", c.Command, err)
			}
		}
		if _, err := xftp.ParseCommand(append(bytes.Clone(c.Hex), 0)); err != xftp.CmdSyntax && err != xftp.CmdUnknown {
			t.Errorf("%s with a byte behind it: %v", c.Command, err)
		}
	}
	t.Logf("checked %d commands", len(all))
}

type expectedResponse struct {
	Type         string
	SenderID     vectors.Hex
	RecipientIDs []vectors.Hex
	RcvDhKey     vectors.Hex
	Nonce        vectors.Hex
	Err          struct{ Type, CmdErr, BlockInfo string }
}

type responseVector struct {
	Name   string
	Hex    vectors.Hex
	Expect expectedResponse
}

// response is what a relay would send.
func (e expectedResponse) response(t testing.TB) xftp.Response {
	t.Helper()
	var ids []wire.EntityID
	for _, id := range e.RecipientIDs {
		ids = append(ids, wire.EntityID(id))
	}
	switch e.Type {
	case "FRSndIds":
		return xftp.SIDS{SenderID: wire.EntityID(e.SenderID), RecipientIDs: ids}
	case "FRRcvIds":
		return xftp.RIDS{RecipientIDs: ids}
	case "FRFile":
		k, err := key.New(key.X25519, e.RcvDhKey)
		if err != nil {
			t.Fatal(err)
		}
		return xftp.FILE{Key: k, Nonce: [xftp.NonceSize]byte(e.Nonce)}
	case "FROk":
		return xftp.OK{}
	case "FRPong":
		return xftp.PONG{}
	}
	switch e.Err.Type {
	case "CMD":
		return xftp.ERR{Err: xftp.CommandError("CMD " + e.Err.CmdErr)}
	case "BLOCKED":
		b := xftp.BlockedError{Reason: smp.ReasonContent}
		if strings.HasPrefix(e.Err.BlockInfo, "reason=spam") {
			b.Reason = smp.ReasonSpam
		}
		if strings.Contains(e.Err.BlockInfo, `"ttl":86400`) {
			b.Notice = &smp.Notice{HasTTL: true, TTL: 86400}
		}
		return xftp.ERR{Err: b}
	}
	return xftp.ERR{Err: xftp.ErrorCode(e.Err.Type)}
}

func loadResponses(t testing.TB) (good, bad []responseVector) {
	t.Helper()
	var v struct {
		Responses []responseVector
		Errors    []responseVector `json:"decode_errors"`
	}
	vectors.Load(t, "xftp/responses.json", &v)
	return v.Responses, v.Errors
}

func TestResponseVectors(t *testing.T) {
	good, bad := loadResponses(t)
	for _, c := range good {
		want := c.Expect.response(t).AppendResponse(nil, xftp.Versions.Max)
		if c.Name != "ERR CMD NO_QUEUE" { // only read
			same(t, c.Name, want, c.Hex)
		}
		got, err := xftp.ParseResponse(c.Hex)
		if err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		same(t, c.Name+", parsed", got.AppendResponse(nil, xftp.Versions.Max), want)
		for n := range c.Hex {
			if again, err := xftp.ParseResponse(c.Hex[:n]); err == nil {
				same(t, c.Name+", a prefix", again.AppendResponse(nil, xftp.Versions.Max), c.Hex[:n])
			}
		}
	}
	for _, c := range bad {
		if _, err := xftp.ParseResponse(c.Hex); err == nil {
			t.Errorf("%s is parsed", c.Name)
		}
	}
	t.Logf("checked %d responses and %d that are none", len(good), len(bad))
}

func TestTransmissionVectors(t *testing.T) {
	type transmission struct {
		Name         string
		Seed         vectors.Hex
		SessionID    vectors.Hex
		CorrID       vectors.Hex
		EntityID     vectors.Hex
		Command      vectors.Hex
		SignedBytes  vectors.Hex
		Signature    vectors.Hex
		Transmission vectors.Hex
		Block        string `json:"block_b64"`
	}
	var v struct {
		Sent, Received []transmission
		Errors         []transmission `json:"received_errors"`
		Padding        []struct {
			Size    int
			Message string `json:"message_b64"`
			Padded  string `json:"padded_b64"`
		}
		PaddingErrors []struct {
			Name, Op            string
			MessageLength, Size int
			Hex                 vectors.Hex
		} `json:"padding_errors"`
	}
	vectors.Load(t, "xftp/transmissions.json", &v)
	for _, c := range v.Sent {
		authorized := xftp.AppendAuthorized(nil, c.SessionID, c.CorrID, c.EntityID, c.Command)
		same(t, c.Name+": authorized", authorized, c.SignedBytes)
		if len(c.Seed) > 0 {
			k, err := auth.NewKey(key.Ed25519, c.Seed)
			if err != nil {
				t.Fatal(err)
			}
			signature, err := k.Authorize(key.Public{}, c.CorrID, authorized)
			if err != nil {
				t.Fatal(err)
			}
			same(t, c.Name+": signature", signature, c.Signature)
		}
		var head [xftp.BlockSize]byte
		if err := xftp.PutBlock(&head, c.Signature, authorized); err != nil {
			t.Fatal(err)
		}
		same(t, c.Name+": block", head[:], unbase64(t, c.Block))
		got, err := xftp.ParseBlock(head[:], c.SessionID)
		if err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		same(t, c.Name+": command", got.Command, c.Command)
		same(t, c.Name+": authorization", got.Authorization, c.Signature)
		same(t, c.Name+": authorized, parsed", got.Authorized, c.SignedBytes)
		same(t, c.Name+": entity id", got.EntityID, c.EntityID)
		same(t, c.Name+": correlation id", got.CorrID, c.CorrID)
	}
	for _, c := range v.Received {
		block := unbase64(t, c.Block)
		got, err := xftp.ParseBlock(block, c.SessionID)
		if err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		response, err := xftp.ParseResponse(got.Command)
		if err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		if bytes.HasSuffix(c.Command, []byte("NO_QUEUE")) {
			continue // only read
		}
		var head [xftp.BlockSize]byte
		xftp.PutResponse(&head, xftp.Versions.Max, c.SessionID, c.CorrID, c.EntityID, response)
		same(t, c.Name, head[:], block)
	}
	for _, c := range v.Errors {
		if _, err := xftp.ParseBlock(unbase64(t, c.Block), c.SessionID); err == nil {
			t.Errorf("%s is parsed", c.Name)
		}
	}
	for _, c := range v.Padding {
		padded := make([]byte, c.Size)
		if err := wire.Pad(padded, unbase64(t, c.Message)); err != nil {
			t.Error(err)
		}
		same(t, "padding", padded, unbase64(t, c.Padded))
		message, err := wire.Unpad(padded)
		if err != nil {
			t.Error(err)
		}
		same(t, "unpadded", message, unbase64(t, c.Message))
	}
	for _, c := range v.PaddingErrors {
		var err error
		switch c.Op {
		case "pad":
			err = wire.Pad(make([]byte, c.Size), make([]byte, c.MessageLength))
		case "unpad":
			_, err = wire.Unpad(c.Hex)
		default:
			t.Fatalf("unknown operation %s", c.Op)
		}
		if err == nil {
			t.Errorf("%s, but does", c.Name)
		}
	}
	t.Logf("checked %d sent, %d received, %d malformed, %d paddings", len(v.Sent), len(v.Received), len(v.Errors),
		len(v.Padding)+len(v.PaddingErrors))
}

// TestRequestErrorVectors: requests that are refused, and what is echoed.
func TestRequestErrorVectors(t *testing.T) {
	var v struct {
		SessionID vectors.Hex
		Cases     []struct {
			Name   string
			Body   string `json:"requestBody_b64"`
			Expect struct {
				CorrID, EntityID vectors.Hex
				Command          string
				ResponseUnpadded vectors.Hex
			}
		}
	}
	vectors.Load(t, "xftp/request_errors.json", &v)
	for _, c := range v.Cases {
		body := unbase64(t, c.Body)
		got, command, err := xftp.ParseRequest(body[:min(len(body), xftp.BlockSize)], v.SessionID)
		if err == nil {
			err = judge(got, command)
		}
		if want := strings.TrimPrefix(c.Expect.Command, "ERR "); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", c.Name, err, want)
			continue
		}
		answer := err.(xftp.Error)
		entityID := got.EntityID
		same(t, c.Name+": correlation id", got.CorrID, c.Expect.CorrID)
		same(t, c.Name+": entity id", entityID, c.Expect.EntityID)
		var head [xftp.BlockSize]byte
		xftp.PutResponse(&head, xftp.Versions.Max, v.SessionID, got.CorrID, entityID, xftp.ERR{Err: answer})
		unpadded, err := wire.Unpad(head[:])
		if err != nil {
			t.Fatal(err)
		}
		same(t, c.Name, unpadded, c.Expect.ResponseUnpadded)
	}
	t.Logf("checked %d requests", len(v.Cases))
}

// judge does what a relay without any chunk does with a request that is well-formed: it knows the keys that come with FNEW
// and no others, and the four sizes.
func judge(t xftp.Transmission, c xftp.Command) error {
	f, ok := c.(xftp.FNEW)
	switch {
	case !ok, !auth.Verify(f.File.SenderKey, nil, t.CorrID, t.Authorization, t.Authorized):
		return xftp.ErrAuth
	case !slices.Contains(xftp.ChunkSizes, f.File.Size):
		return xftp.ErrSize
	}
	return nil
}
