package xftp_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"sotto/shared/auth"
	"sotto/shared/key"
	"sotto/shared/smp"
	"sotto/shared/wire"
	"sotto/shared/xftp"
)

func TestBlockedByVersion(t *testing.T) {
	e := xftp.BlockedError{Reason: smp.ReasonSpam, Notice: &smp.Notice{}}
	for v, want := range map[wire.Version]string{1: "ERR AUTH", 2: "ERR AUTH", 3: "ERR BLOCKED reason=spam,notice={}"} {
		if got := string(xftp.ERR{Err: e}.AppendResponse(nil, v)); got != want {
			t.Errorf("version %d: %s", v, got)
		}
	}
}

// TestForeignErrors: errors of the protocol for messages are none of this one's.
func TestForeignErrors(t *testing.T) {
	for _, text := range []string{"NO_MSG", "LARGE_MSG", "STORE x", "PROXY NO_SESSION", "SERVICE", ""} {
		if e, err := xftp.ParseError([]byte(text)); err == nil {
			t.Errorf("%s is parsed as %v", text, e)
		}
	}
}

func TestCredentials(t *testing.T) {
	for _, c := range []struct {
		command                            xftp.Command
		neither, onlyAuth, onlyEntity, all string
	}{
		{xftp.FNEW{}, "CMD NO_AUTH", "", "CMD NO_AUTH", "CMD HAS_AUTH"},
		{xftp.PING{}, "", "CMD HAS_AUTH", "CMD HAS_AUTH", "CMD HAS_AUTH"},
		{xftp.FADD{}, "CMD NO_AUTH", "CMD NO_AUTH", "CMD NO_AUTH", ""},
		{xftp.FPUT{}, "CMD NO_AUTH", "CMD NO_AUTH", "CMD NO_AUTH", ""},
		{xftp.FDEL{}, "CMD NO_AUTH", "CMD NO_AUTH", "CMD NO_AUTH", ""},
		{xftp.FGET{}, "CMD NO_AUTH", "CMD NO_AUTH", "CMD NO_AUTH", ""},
		{xftp.FACK{}, "CMD NO_AUTH", "CMD NO_AUTH", "CMD NO_AUTH", ""},
	} {
		for i, want := range []string{c.neither, c.onlyAuth, c.onlyEntity, c.all} {
			got := ""
			if err := xftp.CheckCredentials(c.command, i&1 != 0, i&2 != 0); err != nil {
				got = err.Error()
			}
			if got != want {
				t.Errorf("%s, authorization %v, entity %v: %q, want %q", c.command.Tag(), i&1 != 0, i&2 != 0, got, want)
			}
		}
	}
}

// largestFNEW registers for as many recipients as the count allows.
func largestFNEW() xftp.FNEW {
	c := xftp.FNEW{File: xftp.FileInfo{SenderKey: auth.NewEd25519().Public(), Size: 65536, Digest: make([]byte, 32)}}
	for range xftp.MaxRecipients {
		c.Recipients = append(c.Recipients, auth.NewEd25519().Public())
	}
	return c
}

func TestManyRecipients(t *testing.T) {
	c := largestFNEW()
	var head [xftp.BlockSize]byte
	session := make([]byte, 48)
	if err := xftp.PutBlock(&head, make([]byte, 64), xftp.AppendAuthorized(nil, session, nil, nil, c.AppendCommand(nil))); err != nil {
		t.Fatal(err)
	}
	_, got, err := xftp.ParseRequest(head[:], session)
	if err != nil || len(got.(xftp.FNEW).Recipients) != xftp.MaxRecipients {
		t.Errorf("%v", err)
	}
	if err := xftp.PutBlock(&head, nil, make([]byte, xftp.MaxTransmission)); !errors.Is(err, wire.ErrTooLong) {
		t.Errorf("too long: %v", err)
	}
}

// TestResponseWithoutRoom: a correlation id that leaves the response no room gets the error that fits.
func TestResponseWithoutRoom(t *testing.T) {
	var ids []wire.EntityID
	for range 255 {
		ids = append(ids, bytes.Repeat([]byte{1}, 200))
	}
	var head [xftp.BlockSize]byte
	xftp.PutResponse(&head, 3, []byte("session"), []byte("corr"), nil, xftp.RIDS{RecipientIDs: ids})
	got, err := xftp.ParseBlock(head[:], []byte("session"))
	if err != nil || string(got.Command) != "ERR INTERNAL" || string(got.CorrID) != "corr" {
		t.Errorf("%s %v", got.Command, err)
	}
}

// TestKeyKinds: X448 and what is no key for authorization are refused, X25519 and Ed448 are taken.
func TestKeyKinds(t *testing.T) {
	x448, err := key.New(key.X448, make([]byte, 56))
	if err != nil {
		t.Fatal(err)
	}
	for k, ok := range map[key.Public]bool{
		auth.NewEd25519().Public(): true, auth.NewEd448().Public(): true, auth.NewX25519().Public(): true, x448: false,
	} {
		if _, err := xftp.ParseCommand(xftp.FADD{Recipients: []key.Public{k}}.AppendCommand(nil)); (err == nil) != ok {
			t.Errorf("%s: %v", k.Algorithm(), err)
		}
	}
}

// TestRedaction: nothing that identifies anybody is printed.
func TestRedaction(t *testing.T) {
	secret := []byte("secret")
	for _, v := range []any{
		xftp.SIDS{SenderID: secret, RecipientIDs: []wire.EntityID{secret}},
		xftp.RIDS{RecipientIDs: []wire.EntityID{secret}},
		xftp.FNEW{BasicAuth: secret},
		xftp.Transmission{CorrID: secret, EntityID: secret},
		xftp.ServerHello{SessionID: secret},
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
			printed := fmt.Sprintf(verb, v)
			for _, leak := range []string{"secret", "736563726574", "115 101 99", "0x73"} {
				if strings.Contains(printed, leak) {
					t.Errorf("%T printed with %s: %s", v, verb, printed)
				}
			}
		}
	}
}

// TestAllocations: the hot path, a request's head and its answer, makes the boxed command and nothing else.
func TestAllocations(t *testing.T) {
	session, id := make([]byte, 32), make([]byte, xftp.IDSize)
	var head, answer [xftp.BlockSize]byte
	if err := xftp.PutBlock(&head, make([]byte, 64), xftp.AppendAuthorized(nil, session, nil, id, xftp.FPUT{}.AppendCommand(nil))); err != nil {
		t.Fatal(err)
	}
	var ok xftp.Response = xftp.OK{}
	if n := testing.AllocsPerRun(100, func() {
		tr, _, err := xftp.ParseRequest(head[:], session)
		if err != nil {
			t.Fatal(err)
		}
		xftp.PutResponse(&answer, 3, session, tr.CorrID, tr.EntityID, ok)
	}); n > 2 {
		t.Errorf("%v allocations for a request", n)
	}
}

func FuzzParseRequest(f *testing.F) {
	session := []byte("01234567890123456789012345678901")
	for _, c := range loadCommands(f) {
		f.Add(xftp.AppendAuthorized(nil, session, nil, make([]byte, 16), c.Hex), []byte{})
		f.Add([]byte(c.Hex), make([]byte, 64))
	}
	f.Fuzz(func(t *testing.T, b, authorization []byte) {
		if len(authorization) > 255 {
			return
		}
		var head [xftp.BlockSize]byte
		if xftp.PutBlock(&head, authorization, b) != nil {
			return
		}
		tr, c, err := xftp.ParseRequest(head[:], session)
		if err != nil {
			if _, ok := err.(xftp.Error); !ok || c != nil {
				t.Fatalf("%v, %v", c, err)
			}
			return
		}
		if !bytes.Equal(tr.Authorized, b) || !bytes.Equal(c.AppendCommand(nil), tr.Command) {
			t.Fatalf("%x became %x", tr.Command, c.AppendCommand(nil))
		}
	})
}

// FuzzParseBlock takes heads as they come.
func FuzzParseBlock(f *testing.F) {
	f.Add([]byte{0, 8, 1, 0, 5, 0, 0, 0, 0, 'x'})
	f.Fuzz(func(t *testing.T, b []byte) {
		var head [xftp.BlockSize]byte
		copy(head[:], b)
		tr, err := xftp.ParseBlock(head[:], nil)
		if err != nil {
			return
		}
		if n := int(binary.BigEndian.Uint16(head[3:])); n != 1+len(tr.Authorization)+len(tr.Authorized) {
			t.Fatalf("a transmission of %d bytes has %d", n, len(tr.Authorized))
		}
	})
}

func FuzzParseResponse(f *testing.F) {
	good, bad := loadResponses(f)
	for _, c := range append(good, bad...) {
		f.Add([]byte(c.Hex))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := xftp.ParseResponse(b)
		if err != nil {
			return
		}
		first := r.AppendResponse(nil, xftp.Versions.Max)
		again, err := xftp.ParseResponse(first)
		if err != nil || !bytes.Equal(again.AppendResponse(nil, xftp.Versions.Max), first) {
			t.Fatalf("%q became %q: %v", b, first, err)
		}
	})
}

func FuzzParseServerHello(f *testing.F) {
	for _, c := range loadHandshake(f).ServerHello {
		f.Add([]byte(c.Body))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := xftp.ParseServerHello(b)
		if err != nil {
			return
		}
		if first := h.AppendTo(nil); !bytes.HasPrefix(b, first) && !bytes.Equal(b, first[:len(first)-1]) {
			t.Fatalf("%x became %x", b, first)
		}
		_, _ = h.VerifyProof([32]byte{}, nil)
	})
}

func FuzzParseClientHello(f *testing.F) {
	for _, c := range loadHandshake(f).ClientHello {
		f.Add([]byte(c.Body))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, err := xftp.ParseClientHello(b); err == nil && !bytes.HasPrefix(b, h.AppendTo(nil)) {
			t.Fatalf("%x became %x", b, h.AppendTo(nil))
		}
		if h, err := xftp.ParseClientHandshake(b); err == nil && !bytes.HasPrefix(b, h.AppendTo(nil)) {
			t.Fatalf("%x became %x", b, h.AppendTo(nil))
		}
	})
}
