package wire_test

import (
	"bytes"
	"testing"

	"sotto/shared/internal/vectors"
	"sotto/shared/wire"
)

// FuzzReader runs a script of reads: each byte of it is one method. Whatever it reads, the Reader must not panic, must
// stay failed, and must account for every byte.
func FuzzReader(f *testing.F) {
	var cases []struct{ Hex vectors.Hex }
	vectors.Load(f, "smp/primitives.json", &cases)
	for _, c := range cases {
		f.Add([]byte("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c"), []byte(c.Hex))
	}
	methods := []func(r *wire.Reader) int{
		func(r *wire.Reader) int { r.Byte(); return 1 },
		func(r *wire.Reader) int { r.Uint16(); return 2 },
		func(r *wire.Reader) int { r.Uint32(); return 4 },
		func(r *wire.Reader) int { r.Int64(); return 8 },
		func(r *wire.Reader) int { r.Bool(); return 1 },
		func(r *wire.Reader) int { r.Maybe(); return 1 },
		func(r *wire.Reader) int { r.Count(); return 1 },
		func(r *wire.Reader) int { r.NonEmptyCount(); return 1 },
		func(r *wire.Reader) int { r.VersionRange(); return 4 },
		func(r *wire.Reader) int { return 1 + len(r.Str()) },
		func(r *wire.Reader) int { return 2 + len(r.Large()) },
		func(r *wire.Reader) int { return len(r.Take(3)) },
		func(r *wire.Reader) int { return len(r.Tail()) },
	}
	f.Fuzz(func(t *testing.T, script, in []byte) {
		r := wire.NewReader(in)
		for _, op := range script {
			before, failed := r.Len(), r.Failed()
			read := methods[int(op)%len(methods)](&r)
			switch {
			case failed && !r.Failed():
				t.Fatal("failure was cleared")
			case !r.Failed() && before-r.Len() != read:
				t.Fatalf("method %d read %d bytes, not %d", op, before-r.Len(), read)
			case r.Failed() && (r.Len() != 0 || r.Err() == nil || r.Done() == nil):
				t.Fatal("failed without an error")
			}
		}
	})
}

func FuzzUnpad(f *testing.F) {
	var v paddingVectors
	vectors.Load(f, "smp/crypto.json", &v)
	for _, c := range v.Unpad {
		f.Add([]byte(c.Padded))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		msg, err := wire.Unpad(p)
		if err != nil {
			return
		}
		again := make([]byte, len(p))
		if err := wire.Pad(again, msg); err != nil {
			if len(msg) <= 65533 {
				t.Fatal(err)
			}
			return
		}
		if !bytes.Equal(again[:2+len(msg)], p[:2+len(msg)]) {
			t.Fatalf("%x padded is %x", msg, again)
		}
	})
}

// FuzzParseBatch checks that what parses is built again, byte for byte, if it keeps to the limits of a block.
func FuzzParseBatch(f *testing.F) {
	var v blockVectors
	vectors.Load(f, "smp/blocks.json", &v)
	for _, c := range v.Cases {
		for _, content := range c.Content {
			f.Add([]byte(content))
		}
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		var p wire.Packer
		for _, transmission := range unpack(payload) {
			if !p.Add(transmission) {
				if len(payload) <= wire.MaxPayload {
					t.Fatalf("transmission %d does not fit", p.Count())
				}
				return
			}
		}
		if p.Count() > 0 && !bytes.Equal(p.Payload(), payload) {
			t.Fatalf("%x is built as %x", payload, p.Payload())
		}
	})
}

// FuzzParseTransmission checks that what parses is built again, byte for byte.
func FuzzParseTransmission(f *testing.F) {
	var v transmissionVectors
	vectors.Load(f, "smp/transmissions.json", &v)
	for _, c := range v.Client {
		f.Add(uint16(c.Version), false, []byte(c.Transmission))
	}
	for _, c := range v.Server {
		f.Add(uint16(c.Version), false, []byte(c.Transmission))
	}
	var proxied proxyVectors
	vectors.Load(f, "smp/proxy.json", &proxied)
	for _, c := range proxied {
		f.Add(uint16(c.Version), true, unpack(c.Inner)[0])
	}
	f.Fuzz(func(t *testing.T, version uint16, forwarded bool, in []byte) {
		v := wire.Version(version)
		tr, err := wire.ParseTransmission(v, forwarded, in)
		if err != nil {
			return
		}
		signed := wire.AppendSigned(nil, tr.CorrID, tr.EntityID, tr.Command)
		if !bytes.Equal(signed, tr.Signed) {
			t.Fatalf("signed %x, want %x", tr.Signed, signed)
		}
		again := wire.AppendTransmission(nil, v, forwarded, tr.Authorization, tr.ServiceSignature, tr.SessionID, signed)
		if !bytes.Equal(again, in) {
			t.Fatalf("%x is built as %x", in, again)
		}
	})
}
