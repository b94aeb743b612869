package client

import (
	"testing"

	"sotto/shared/auth"
	"sotto/shared/smp"
	"sotto/shared/wire"
)

// TestCallAllocations counts what one call costs, without the network: a corner of the load generator.
func TestCallAllocations(t *testing.T) {
	c := offline(18)
	ctx := t.Context()
	r := Request{Command: smp.SEND{Body: make([]byte, 16000)}, Entity: padded(1)}
	payload := make([]byte, 0, wire.MaxPayload)
	var p wire.Packer
	got := testing.AllocsPerRun(100, func() {
		k, err := c.start(ctx, &r)
		if err != nil {
			t.Fatal(err)
		}
		b := c.next()
		b.release()
		p.Reset(payload)
		p.Commit(append(wire.AppendResponseHeader(p.Begin(), 18, nil, k.ids[0][:], r.Entity), "OK"...))
		in := takeInbound()
		if err := c.receive(in, p.Payload()); err != nil {
			t.Fatal(err)
		}
		in.release()
		reply, err := k.Wait(ctx)
		if err != nil {
			t.Fatal(err)
		}
		reply.Release()
	})
	// The closure of receive is one; the race detector makes pools drop some of what they are given.
	if got > 3 && !raceEnabled {
		t.Errorf("a call makes %.0f allocations", got)
	}
	t.Logf("%.0f allocations", got)
}

func BenchmarkSend(b *testing.B) {
	f := (&fake{script: ok}).start(b)
	for _, bc := range []struct {
		name string
		key  auth.Key
		body []byte
	}{
		{"small unsigned", auth.Key{}, make([]byte, 100)},
		{"16KB unsigned", auth.Key{}, make([]byte, 16000)},
		{"16KB Ed25519", auth.NewEd25519(), make([]byte, 16000)},
	} {
		b.Run(bc.name, func(b *testing.B) {
			c := f.dial(b, Options{})
			ctx := b.Context()
			id := padded(1)
			b.SetBytes(int64(len(bc.body)))
			b.ReportAllocs()
			for b.Loop() {
				if err := c.Send(ctx, id, bc.key, false, bc.body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkPingPipelined keeps 64 commands on the way.
func BenchmarkPingPipelined(b *testing.B) {
	f := (&fake{script: pong}).start(b)
	c := f.dial(b, Options{})
	ctx := b.Context()
	calls := make([]*Call, 0, 64)
	b.ReportAllocs()
	wait := func() {
		for _, k := range calls {
			if _, err := k.Wait(ctx); err != nil {
				b.Fatal(err)
			}
		}
		calls = calls[:0]
	}
	for b.Loop() {
		k, err := c.Start(ctx, Request{Command: smp.PING{}})
		if err != nil {
			b.Fatal(err)
		}
		if calls = append(calls, k); len(calls) == cap(calls) {
			wait()
		}
	}
	wait()
}
