package handover_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"sotto/shared/handover"
	"sotto/shared/transport"
)

const patience = 20 * time.Second

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// pair is a connection of a door, and what the relay's listener makes of it.
func pair(t testing.TB) (door net.Conn, relay transport.Secured) {
	t.Helper()
	inner, err := transport.Listen(t.Context(), "127.0.0.1:0", transport.Limits{})
	must(t, err)
	t.Cleanup(func() { _ = inner.Close() })
	door, err = net.Dial("tcp", inner.Addr().String())
	must(t, err)
	t.Cleanup(func() { _ = door.Close() })
	accepted, err := handover.Listener{Listener: inner}.Accept()
	must(t, err)
	t.Cleanup(func() { _ = accepted.Close() })
	must(t, door.SetDeadline(time.Now().Add(patience)))
	return door, accepted.(transport.Secured)
}

func TestHandOver(t *testing.T) {
	for _, want := range []transport.Session{
		{ID: bytes.Repeat([]byte{7}, 32), ALPN: "http/1.1"},
		{ID: bytes.Repeat([]byte{0}, 48), ALPN: ""},
		{ID: bytes.Repeat([]byte{255}, 12), ALPN: "xftp/1"},
	} {
		door, relay := pair(t)
		var sent bytes.Buffer
		must(t, handover.Write(&sent, &want))
		sent.WriteString("what was inside TLS")
		_, err := door.Write(sent.Bytes())
		must(t, err)
		must(t, transport.CloseWrite(door))
		got, err := transport.ServerHandshake(t.Context(), relay, nil)
		must(t, err)
		if !bytes.Equal(got.ID, want.ID) || got.ALPN != want.ALPN || got.SNI {
			t.Errorf("%q with %x, want %q with %x", got.ALPN, got.ID, want.ALPN, want.ID)
		}
		inside, err := io.ReadAll(got.Conn)
		if err != nil || string(inside) != "what was inside TLS" {
			t.Errorf("%q, %v", inside, err)
		}
		_, err = io.WriteString(got.Conn, "answer")
		must(t, err)
		must(t, got.CloseWrite())
		if answer, err := io.ReadAll(door); err != nil || string(answer) != "answer" {
			t.Errorf("%q, %v", answer, err)
		}
	}
}

// v2 makes a header of version 2.
func v2(command, family byte, body string) string {
	length := binary.BigEndian.AppendUint16(nil, uint16(len(body)))
	return "\r\n\r\n\x00\r\nQUIT\n" + string([]byte{command, family}) + string(length) + body
}

// field makes a field of a header.
func field(kind byte, value string) string {
	return string([]byte{kind, byte(len(value) >> 8), byte(len(value))}) + value
}

func TestNotHandedOver(t *testing.T) {
	id := strings.Repeat("i", 32)
	for name, sent := range map[string]string{
		"TLS":                   "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
		"HTTP/2":                "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"version 1":             "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
		"no session":            v2(0x20, 0, field(1, "http/1.1")),
		"a session too short":   v2(0x20, 0, field(0xE0, "short")),
		"a session too long":    v2(0x20, 0, field(0xE0, strings.Repeat("i", 49))),
		"a client's address":    v2(0x21, 0x11, "\xc0\x00\x02\x01\xc0\x00\x02\x02\x00\x01\x00\x02"+field(0xE0, id)),
		"a field cut short":     v2(0x20, 0, field(0xE0, id)[:20]),
		"nothing in the header": v2(0x20, 0, ""),
		"half a header":         v2(0x20, 0, field(0xE0, id))[:30],
	} {
		door, relay := pair(t)
		_, err := io.WriteString(door, sent)
		must(t, err)
		must(t, transport.CloseWrite(door))
		_, err = transport.ServerHandshake(t.Context(), relay, nil)
		if !errors.Is(err, handover.ErrHeader) || strings.Contains(err.Error(), "192.0.2") {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := io.ReadAll(door); err != nil && !strings.Contains(err.Error(), "reset") {
			t.Errorf("%s: the connection is not closed: %v", name, err)
		}
	}
}

func TestSilence(t *testing.T) {
	_, relay := pair(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := transport.ServerHandshake(ctx, relay, nil); err == nil {
		t.Error("a session of nothing")
	}
}
