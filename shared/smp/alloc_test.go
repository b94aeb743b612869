package smp_test

import (
	"testing"

	"sotto/shared/smp"
)

// hotPath has the steps that every message takes through the codec, with the allocations each may make: one to hold
// the value of a command with parameters, none for the rest.
func hotPath() []struct {
	name   string
	allocs float64
	bytes  int
	run    func()
} {
	body := make([]byte, smp.MaxBody(smp.MaxVersion))
	send := smp.SEND{Notify: true, Body: body}.AppendCommand(nil, smp.MaxVersion)
	id := sequence(0xa0, 24)
	ack := smp.ACK{MessageID: id}.AppendCommand(nil, smp.MaxVersion)
	sub, malformed := []byte("SUB"), []byte("SUB ")
	msg := smp.MSG{MessageID: id, EncryptedBody: make([]byte, smp.EncryptedBodySize)}
	dst := make([]byte, 0, 16384)
	parse := func(b []byte) func() {
		return func() {
			c, err := smp.ParseCommand(smp.MaxVersion, b)
			if err != nil || smp.CheckCredentials(c, true, true) != nil {
				panic(err)
			}
		}
	}
	return []struct {
		name   string
		allocs float64
		bytes  int
		run    func()
	}{
		{"parse SEND", 1, len(send), parse(send)},
		{"parse ACK", 1, len(ack), parse(ack)},
		{"parse SUB", 0, len(sub), parse(sub)},
		{"parse malformed SUB", 0, 4, func() { _, _ = smp.ParseCommand(smp.MaxVersion, malformed) }},
		{"append OK", 0, 2, func() { dst = smp.OK{}.AppendResponse(dst[:0], smp.MaxVersion) }},
		{"append SOK", 0, 5, func() { dst = smp.SOK{}.AppendResponse(dst[:0], smp.MaxVersion) }},
		{"append MSG", 0, smp.EncryptedBodySize, func() { dst = msg.AppendResponse(dst[:0], smp.MaxVersion) }},
		{"append ERR AUTH", 0, 8, func() { dst = smp.ERR{Err: smp.ErrAuth}.AppendResponse(dst[:0], smp.MaxVersion) }},
		{"append body of MSG", 0, len(body), func() { dst = smp.AppendReceived(dst[:0], 1, true, body) }},
	}
}

func TestAllocations(t *testing.T) {
	for _, step := range hotPath() {
		got := testing.AllocsPerRun(100, step.run)
		t.Logf("%s: %v allocations", step.name, got)
		if got > step.allocs {
			t.Errorf("%s: %v allocations, want at most %v", step.name, got, step.allocs)
		}
	}
}

func BenchmarkCodec(b *testing.B) {
	for _, step := range hotPath() {
		b.Run(step.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(step.bytes))
			for b.Loop() {
				step.run()
			}
		})
	}
}
