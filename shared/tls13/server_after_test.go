package tls13

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

// TestServerAfter are clients that go on after their Finished message, by the rules or against them.
func TestServerAfter(t *testing.T) {
	record := func(kind byte, content string) func(*handshake) {
		return func(h *handshake) { h.add(kind, []byte(content)) }
	}
	bye := record(recordAlert, "\x01\x00")
	for _, tc := range []struct {
		name  string
		after func(*handshake)
		want  string // data that arrives before the end
		end   error
	}{
		{"nothing", func(*handshake) {}, "", io.ErrUnexpectedEOF},
		{"data", record(recordData, "hello"), "hello", io.ErrUnexpectedEOF},
		{"data and the end", inTurn(record(recordData, "hello"), bye), "hello", io.EOF},
		{"new keys", inTurn(record(recordData, "one"), update(false), record(recordData, "two"), bye), "onetwo", io.EOF},
		{"new keys for both", inTurn(update(true), record(recordData, "one"), update(true), record(recordData, "two"), bye), "onetwo", io.EOF},
		{"new keys without end", updates(maxIdleRecords + 1), "", ErrFlood},
		{"new keys and more in the record", record(recordHandshake, "\x18\x00\x00\x01\x00\x18"), "", ErrUnexpected},
		{"a ticket", record(recordHandshake, "\x04\x00\x00\x00"), "", ErrUnexpected},
		{"a certificate", record(recordHandshake, string(marshalCertificate(nil))), "", ErrUnexpected},
		{"a ClientHello", record(recordHandshake, string(likeApp().marshal())), "", ErrUnexpected},
		{"change_cipher_spec", plain([]byte("\x14\x03\x03\x00\x01\x01")), "", ErrRecord},
		{"a record without keys", plain([]byte("\x17\x03\x03\x00\x01x")), "", ErrDecrypt},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, _ := (&visitor{after: tc.after}).visit(t, asking(t))
			if s.err != nil {
				t.Fatal(s.err)
			}
			var got bytes.Buffer
			_, err := io.Copy(&got, s.conn)
			if err == nil {
				err = io.EOF
			}
			if got.String() != tc.want || !errors.Is(err, tc.end) {
				t.Errorf("%q, %v, want %v", got.String(), err, tc.end)
			}
		})
	}
}

// TestServerIdle looks at a connection that waits: it holds no buffer, neither after the handshake nor after data.
func TestServerIdle(t *testing.T) {
	s, _ := (&visitor{after: func(h *handshake) { h.add(recordData, []byte("hello")) }}).visit(t, asking(t))
	if s.err != nil {
		t.Fatal(s.err)
	}
	free := func() bool { return s.conn.in.buf == nil && s.conn.in.rest == nil && s.conn.in.hand == nil }
	if !free() {
		t.Error("holds a buffer after the handshake")
	}
	for _, want := range []string{"hell", "o"} {
		got := make([]byte, 4)
		n, err := s.conn.Read(got)
		if err != nil || string(got[:n]) != want {
			t.Fatalf("%q, %v", got[:n], err)
		}
		if free() != (want == "o") {
			t.Errorf("after %q it holds a buffer: %v", want, !free())
		}
	}
}
