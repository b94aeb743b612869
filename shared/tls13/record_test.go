package tls13

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"

	"golang.org/x/crypto/cryptobyte"

	"sotto/shared/key"
)

// repeat returns what adds a record n times.
func repeat(n int, kind byte, content []byte) func(*handshake) {
	return func(h *handshake) {
		for range n {
			h.add(kind, content)
		}
	}
}

// inTurn returns what does one after the other.
func inTurn(all ...func(*handshake)) func(*handshake) {
	return func(h *handshake) {
		for _, f := range all {
			f(h)
		}
	}
}

// plain returns what adds bytes that are not under keys.
func plain(b []byte) func(*handshake) {
	return func(h *handshake) { h.flight = append(h.flight, b...) }
}

// padded returns what adds a record with padding.
func padded(kind byte, content []byte, padding int) func(*handshake) {
	return func(h *handshake) {
		inner := append(append(bytes.Clone(content), kind), make([]byte, padding)...)
		record := appendHeader(nil, recordData, len(inner)+h.out.aead.Overhead())
		h.flight = append(h.flight, h.out.aead.Seal(record, h.out.next(), inner, record)...)
	}
}

// update changes keys, with or without a request for the other end's.
func update(request bool) func(*handshake) {
	return func(h *handshake) {
		h.add(recordHandshake, marshalKeyUpdate(request))
		h.out.update()
	}
}

var (
	ticket = marshal(messageNewSessionTicket, func(b *cryptobyte.Builder) { b.AddBytes(make([]byte, 200)) })
	data   = repeat(1, recordData, []byte("data"))
	ends   = repeat(1, recordAlert, []byte{alertWarning, byte(alertCloseNotify)})
)

// TestRecords has a client read what a server sends after the handshake: until the end, or until it is refused.
func TestRecords(t *testing.T) {
	own := relay(t, key.Ed25519)
	for _, c := range []struct {
		name  string
		after func(*handshake)
		reads string
		want  error
	}{
		{"data", inTurn(data, data, ends), "datadata", io.EOF},
		{"no farewell", data, "data", io.ErrUnexpectedEOF},
		{"after the farewell", inTurn(data, ends, data), "data", io.EOF},
		{"fatal farewell", repeat(1, recordAlert, []byte{alertFatal, 0}), "", io.EOF},
		{"alert", inTurn(data, repeat(1, recordAlert, []byte{alertFatal, 80})), "data", Alert(80)},
		{"warning that is none", repeat(1, recordAlert, []byte{alertWarning, 41}), "", Alert(41)},
		{"canceled", inTurn(repeat(1, recordAlert, []byte{alertWarning, 90}), ends), "", io.EOF},
		{"long alert", repeat(1, recordAlert, []byte{2, 80, 0}), "", ErrRecord},
		{"short alert", repeat(1, recordAlert, []byte{2}), "", ErrRecord},
		{"no alert", repeat(1, recordAlert, nil), "", ErrRecord},
		{"cancellations", repeat(maxIdleRecords+1, recordAlert, []byte{1, 90}), "", ErrFlood},

		{"empty records", inTurn(repeat(maxIdleRecords, recordData, nil), data, repeat(maxIdleRecords, recordData, nil), data, ends), "datadata", io.EOF},
		{"more empty records", inTurn(data, repeat(maxIdleRecords+1, recordData, nil), data), "data", ErrFlood},
		{"padding", inTurn(padded(recordData, []byte("da"), 1), padded(recordData, []byte("ta"), 200), ends), "data", io.EOF},
		{"padding alone", padded(0, nil, 10), "", ErrRecord},
		{"no content at all", padded(0, nil, 0), "", ErrRecord},
		{"as long as can be", inTurn(padded(recordData, make([]byte, maxContent), 0), ends), string(make([]byte, maxContent)), io.EOF},
		{"content too long", padded(recordData, make([]byte, maxContent+1), 0), "", ErrRecordSize},
		{"padding too long", padded(recordData, []byte("x"), maxContent), "", ErrRecordSize},
		{"record too long", plain([]byte{recordData, 3, 3, (maxCiphertext + 1) >> 8, (maxCiphertext + 1) & 0xff}), "", ErrRecordSize},
		{"record too short", plain([]byte{recordData, 3, 3, 0, 15, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}), "", ErrDecrypt},
		{"empty record", plain([]byte{recordData, 3, 3, 0, 0}), "", ErrDecrypt},
		{"plain data", plain([]byte{recordHandshake, 3, 3, 0, 1, 1}), "", ErrRecord},
		{"plain alert", plain([]byte{recordAlert, 3, 3, 0, 2, 2, 80}), "", ErrRecord},
		{"change_cipher_spec", plain([]byte{recordChangeCipherSpec, 3, 3, 0, 1, 1}), "", ErrRecord},
		{"change_cipher_spec under keys", repeat(1, recordChangeCipherSpec, []byte{1}), "", ErrRecord},
		{"unknown type", repeat(1, 24, []byte{1}), "", ErrRecord},
		{"same record twice", again, "data", ErrDecrypt},
		{"record left out", inTurn(func(h *handshake) { h.out.seq++ }, data), "", ErrDecrypt},

		{"tickets", inTurn(repeat(2, recordHandshake, ticket), data, ends), "data", io.EOF},
		{"tickets in one record", inTurn(repeat(1, recordHandshake, bytes.Repeat(ticket, 3)), data, ends), "data", io.EOF},
		{"split ticket", inTurn(repeat(1, recordHandshake, ticket[:7]), repeat(1, recordHandshake, ticket[7:]), data, ends), "data", io.EOF},
		{"ticket with data in it", inTurn(repeat(1, recordHandshake, ticket[:7]), data), "", ErrRecord},
		{"ticket with an alert in it", inTurn(repeat(1, recordHandshake, ticket[:7]), ends), "", ErrRecord},
		{"ticket that is too long", repeat(1, recordHandshake, []byte{messageNewSessionTicket, 1, 0, 0}), "", ErrTooLarge},
		{"many tickets", repeat(maxIdleRecords+1, recordHandshake, ticket), "", ErrFlood},
		{"many tickets in one record", repeat(1, recordHandshake, bytes.Repeat(ticket, maxIdleRecords+1)), "", ErrFlood},
		{"empty message record", repeat(1, recordHandshake, nil), "", ErrRecord},

		{"key update", inTurn(data, update(false), data, update(true), data, ends), "datadatadata", io.EOF},
		{"keys not changed", inTurn(repeat(1, recordHandshake, marshalKeyUpdate(false)), data), "", ErrDecrypt},
		{"keys changed unsaid", inTurn(data, func(h *handshake) { h.out.update() }, data), "data", ErrDecrypt},
		{"key update and more", repeat(1, recordHandshake, append(marshalKeyUpdate(false), ticket...)), "", ErrUnexpected},
		{"key update of neither kind", repeat(1, recordHandshake, []byte{messageKeyUpdate, 0, 0, 1, 2}), "", ErrParameter},
		{"key update of nothing", repeat(1, recordHandshake, []byte{messageKeyUpdate, 0, 0, 0}), "", ErrMessage},
		{"long key update", repeat(1, recordHandshake, []byte{messageKeyUpdate, 0, 0, 2, 0, 0}), "", ErrTooLarge},
		{"many key updates", updates(maxIdleRecords + 1), "", ErrFlood},

		{"hello", repeat(1, recordHandshake, []byte{messageClientHello}), "", ErrUnexpected},
		{"certificate request", repeat(1, recordHandshake, (&certificateRequest{schemes}).marshal()), "", ErrUnexpected},
		{"Finished", repeat(1, recordHandshake, marshalFinished(make([]byte, 32))), "", ErrUnexpected},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg, flight := recorded(t, &script{own: own, after: c.after})
			client, _, err := against(t, flight, cfg)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(client)
			if err == nil {
				err = io.EOF
			}
			if string(got) != c.reads || !errors.Is(err, c.want) {
				t.Errorf("%d bytes and %v, want %d bytes and %v", len(got), err, len(c.reads), c.want)
			}
			if _, again := client.Read(make([]byte, 1)); again != err {
				t.Errorf("then %v", again)
			}
			if client.in.buf != nil || client.in.hand != nil {
				t.Error("a buffer is held")
			}
		})
	}
}

// updates returns what changes keys many times, with a request each time.
func updates(n int) func(*handshake) {
	return func(h *handshake) {
		for range n {
			update(true)(h)
		}
	}
}

// again adds the same record twice.
func again(h *handshake) {
	h.flush()
	data(h)
	h.flight = append(h.flight, h.flight...)
}

// TestHandshakeBounds has a server send without end during a handshake.
func TestHandshakeBounds(t *testing.T) {
	own := relay(t, key.Ed25519)
	ccs := []byte{recordChangeCipherSpec, 3, 3, 0, 1, 1}
	long := marshal(messageEncryptedExtensions, func(b *cryptobyte.Builder) { b.AddBytes(make([]byte, maxHello)) })
	for _, c := range []struct {
		name   string
		before byte // the message that it comes before
		what   func(*handshake)
		want   error
	}{
		{"change_cipher_spec", messageCertificate, plain(bytes.Repeat(ccs, 3)), nil},
		{"change_cipher_spec without end", messageCertificate, plain(bytes.Repeat(ccs, maxIdleRecords+1)), ErrFlood},
		{"change_cipher_spec of another value", messageCertificate, plain([]byte{recordChangeCipherSpec, 3, 3, 0, 1, 2}), ErrRecord},
		{"change_cipher_spec of two bytes", messageCertificate, plain([]byte{recordChangeCipherSpec, 3, 3, 0, 2, 1, 1}), ErrRecord},
		{"warnings", messageServerHello, plain([]byte{recordAlert, 3, 3, 0, 2, 1, 90}), nil},
		{"farewell", messageCertificate, ends, Alert(0)},
		{"data", messageCertificate, data, ErrRecord},
		{"plain data", messageServerHello, plain([]byte{recordData, 3, 3, 0, 1, 1}), ErrRecord},
		{"empty record", messageCertificate, repeat(1, recordHandshake, nil), ErrRecord},
		{"long message in pieces", messageEncryptedExtensions, pieces(long, 1), ErrTooLarge},
		{"message that is too long", messageEncryptedExtensions, repeat(1, recordHandshake, []byte{messageEncryptedExtensions, 1, 0, 0}), ErrTooLarge},
		{"plain record that is too long", messageServerHello, plain(append(appendHeader(nil, recordHandshake, maxContent+1),
			make([]byte, maxContent+1)...)), ErrRecordSize},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg, flight := recorded(t, &script{own: own, between: map[byte]func(*handshake){c.before: c.what}})
			if _, _, err := against(t, flight, cfg); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
}

// pieces returns what adds a message in records of a length.
func pieces(message []byte, length int) func(*handshake) {
	return func(h *handshake) {
		for i := 0; i < len(message); i += length {
			h.add(recordHandshake, message[i:min(len(message), i+length)])
		}
	}
}

// TestSeal compares what is sealed with what opens, for every suite, over several generations of keys.
func TestSeal(t *testing.T) {
	for _, s := range suites {
		secret := bytes.Repeat([]byte{7}, s.hash.Size())
		var out, in half
		out.protect(&s, secret)
		in.protect(&s, secret)
		for i, length := range []int{0, 1, 16384, 40000, 5} {
			content := bytes.Repeat([]byte{byte(i + 1)}, length)
			var got []byte
			for rest := out.appendAll(nil, recordData, content); len(rest) > 0; {
				n := recordHeader + int(binary.BigEndian.Uint16(rest[3:]))
				kind, part, err := in.open(rest[:n])
				if err != nil || kind != recordData || len(part) > maxContent {
					t.Fatalf("%x: type %d, %v", s.id, kind, err)
				}
				got, rest = append(got, part...), rest[n:]
			}
			if !bytes.Equal(got, content) {
				t.Errorf("%x: %d bytes became %d", s.id, length, len(got))
			}
			out.update()
			in.update()
		}
	}
}
