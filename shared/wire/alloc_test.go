package wire_test

import (
	"testing"

	"sotto/shared/wire"
)

// batchOf returns a payload of as many signed SUB transmissions as fit one block, and the first of them.
func batchOf(tb testing.TB) (payload, transmission []byte) {
	tb.Helper()
	id := make([]byte, 24)
	signed := wire.AppendSigned(nil, id, id, []byte("SUB"))
	transmission = wire.AppendTransmission(nil, 18, false, make([]byte, 64), nil, nil, signed)
	var p wire.Packer
	for p.Add(transmission) {
	}
	if p.Count() != 135 {
		tb.Fatalf("a block takes %d SUB", p.Count())
	}
	return p.Payload(), transmission
}

func assertNoAllocs(t *testing.T, name string, f func()) {
	t.Helper()
	if n := testing.AllocsPerRun(100, f); n != 0 {
		t.Errorf("%s: %v allocations", name, n)
	}
}

func TestAllocations(t *testing.T) {
	in := []byte("\x01\x00\x02\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x04T1\x01a\x00\x01b\x00\x06\x00\x12\x02\x01rest")
	assertNoAllocs(t, "Reader", func() {
		r := wire.NewReader(in)
		r.Byte()
		r.Uint16()
		r.Uint32()
		r.Int64()
		r.Bool()
		r.Maybe()
		r.Str()
		r.Large()
		r.VersionRange()
		r.Count()
		r.NonEmptyCount()
		r.Reset(r.Mark())
		r.Peek()
		r.Take(1)
		r.Tail()
		if r.Done() != nil {
			t.Error("input is not what is read")
		}
		r.Byte()
	})

	payload, transmission := batchOf(t)
	assertNoAllocs(t, "ParseTransmission", func() {
		if _, err := wire.ParseTransmission(18, false, transmission); err != nil {
			t.Error(err)
		}
	})
	assertNoAllocs(t, "ParseTransmission, malformed", func() { _, _ = wire.ParseTransmission(18, false, transmission[:20]) })
	assertNoAllocs(t, "ParseBatch", func() {
		b, err := wire.ParseBatch(payload)
		for _, ok := b.Next(); ok; _, ok = b.Next() {
		}
		if err != nil || b.Len() != 0 {
			t.Error("not all was read")
		}
	})

	storage, id := make([]byte, wire.MaxPayload), make([]byte, 24)
	var p wire.Packer
	assertNoAllocs(t, "Packer", func() {
		p.Reset(storage)
		for range 100 {
			dst := wire.AppendResponseHeader(p.Begin(), 18, nil, id, id)
			p.Commit(append(dst, "OK"...))
			p.Add(transmission[:10])
		}
		if p.Count() != 200 || &p.Payload()[0] != &storage[0] {
			t.Error("not built in the storage")
		}
	})
	block := make([]byte, wire.BlockSize)
	assertNoAllocs(t, "Pad", func() { _ = wire.Pad(block, p.Payload()) })
	assertNoAllocs(t, "Unpad", func() { _, _ = wire.Unpad(block) })
}

func BenchmarkParseTransmission(b *testing.B) {
	_, transmission := batchOf(b)
	b.ReportAllocs()
	b.SetBytes(int64(len(transmission)))
	for b.Loop() {
		if _, err := wire.ParseTransmission(18, false, transmission); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkParseBlock takes a block of 135 SUB apart.
func BenchmarkParseBlock(b *testing.B) {
	payload, _ := batchOf(b)
	b.ReportAllocs()
	b.SetBytes(int64(len(payload)))
	for b.Loop() {
		batch, err := wire.ParseBatch(payload)
		for transmission, ok := batch.Next(); ok && err == nil; transmission, ok = batch.Next() {
			_, err = wire.ParseTransmission(18, false, transmission)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPacker packs 135 responses and pads them.
func BenchmarkPacker(b *testing.B) {
	storage, block, id := make([]byte, wire.MaxPayload), make([]byte, wire.BlockSize), make([]byte, 24)
	var p wire.Packer
	b.ReportAllocs()
	for b.Loop() {
		p.Reset(storage)
		for range 135 {
			p.Commit(append(wire.AppendResponseHeader(p.Begin(), 18, nil, id, id), "OK"...))
		}
		if err := wire.Pad(block, p.Payload()); err != nil {
			b.Fatal(err)
		}
	}
}
