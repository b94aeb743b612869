package proxy

import (
	"testing"

	"sotto/shared/box"
	"sotto/shared/smp"
	"sotto/shared/wire"
)

// FuzzTake gives a session any payload while it waits for one answer.
func FuzzTake(f *testing.F) {
	r := nonce{1, 2, 3}
	var secret [box.KeySize]byte
	turned := box.Reverse(r)
	sealed := box.Seal(nil, smp.ForwardResponse{CorrID: r[:], Encrypted: []byte("answer")}.AppendTo(nil), &turned, &secret)
	for _, response := range []string{"OK", "ERR AUTH", "ERR PROXY PROTOCOL AUTH", "RRES " + string(sealed), "RRES ", "PRES x", "END", ""} {
		var packer wire.Packer
		for _, id := range [][]byte{r[:], nil, r[:23], r[:]} {
			packer.Add(append(wire.AppendResponseHeader(nil, smp.MaxVersion, nil, id, nil), response...))
		}
		f.Add(packer.Payload())
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		s := &Session{version: smp.MaxVersion, secret: secret, waiting: make(map[nonce]chan<- answer)}
		answered := make(chan answer, 1)
		s.expect(r, answered)
		if err := s.take(payload); err != nil && err != errHostile {
			t.Fatal(err)
		}
		if (len(answered) == 1) == (len(s.waiting) == 1) {
			t.Fatal("the answer was given and is waited for, or neither")
		}
		if len(answered) == 0 {
			return
		}
		a := <-answered
		if a.err != nil && a.encrypted != nil {
			t.Fatal("both an answer and an error")
		}
		if len(a.encrypted) > smp.EncryptedForwardSize || a.err != nil && len(a.err.AppendError(nil, smp.MaxVersion)) > maxError+100 {
			t.Fatal("does not fit a block with what is put around it")
		}
	})
}
