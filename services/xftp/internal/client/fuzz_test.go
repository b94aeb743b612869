package client_test

import (
	"errors"
	"testing"

	"sotto/services/xftp/internal/client"
	"sotto/services/xftp/internal/client/clienttest"
	"sotto/shared/auth"
	"sotto/shared/wire"
	"sotto/shared/xftp"
)

// FuzzHead feeds answers of a relay, with any entity that was asked for.
func FuzzHead(f *testing.F) {
	relay := clienttest.Start(f, clienttest.Options{})
	server := relay.Address()
	c, err := client.Dial(f.Context(), server, client.Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = c.Close() })
	session := c.Relay().SessionID
	for _, response := range []xftp.Response{
		xftp.OK{},
		xftp.PONG{},
		xftp.SIDS{SenderID: wire.EntityID("s"), RecipientIDs: []wire.EntityID{[]byte("r")}},
		xftp.RIDS{RecipientIDs: []wire.EntityID{[]byte("r")}},
		xftp.FILE{Key: auth.NewX25519().Public()},
		xftp.ERR{Err: xftp.ErrAuth},
		xftp.ERR{Err: xftp.BlockedError{Reason: "spam"}},
	} {
		f.Add([]byte("id"), response.AppendResponse(nil, 3), []byte("id"), true)
		f.Add([]byte(nil), response.AppendResponse(nil, 3), []byte("id"), false)
	}
	f.Fuzz(func(t *testing.T, entity, response, asked []byte, framed bool) {
		head := response
		if framed {
			if len(entity) > 255 || len(response) > 15000 {
				t.Skip()
			}
			var block [xftp.BlockSize]byte
			if err := xftp.PutBlock(&block, nil, xftp.AppendAuthorized(nil, session, nil, entity, response)); err != nil {
				t.Skip()
			}
			head = block[:]
		}
		answer, err := c.ParseHead(head, asked)
		var refusal xftp.Error
		var unexpected *client.ResponseError
		switch {
		case err == nil && answer == nil, err != nil && answer != nil:
			t.Error("neither an answer nor an error, or both")
		case err != nil && !errors.As(err, &refusal) && !errors.As(err, &unexpected):
			t.Errorf("error %v", err)
		case err == nil && string(entity) != string(asked) && len(entity) != 0:
			t.Error("answer for another entity")
		}
	})
}

// FuzzHello feeds a hello to a native client and to a browser.
func FuzzHello(f *testing.F) {
	hello := xftp.ServerHello{Versions: xftp.Versions, SessionID: make([]byte, 32), Chain: [][]byte{{1}, {2}}, SignedKey: []byte{3}}
	f.Add(hello.AppendTo(nil), false)
	f.Add(hello.AppendTo(nil), true)
	f.Add([]byte("HANDSHAKE"), true)
	relay := clienttest.Start(f, clienttest.Options{})
	c, err := client.DialConn(f.Context(), relay.Address(), client.Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = c.Close() })
	f.Fuzz(func(t *testing.T, content []byte, web bool) {
		if err := client.CheckHello(c, content, web); err == nil {
			t.Error("a hello of nobody was taken")
		}
	})
}
