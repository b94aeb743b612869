package wire_test

import (
	"bytes"
	"errors"
	"testing"

	"sotto/shared/wire"
)

func TestReaderRejects(t *testing.T) {
	cases := []struct {
		name string
		in   string
		read func(r *wire.Reader)
	}{
		{"bool 1", "1", func(r *wire.Reader) { r.Bool() }},
		{"bool t", "t", func(r *wire.Reader) { r.Bool() }},
		{"maybe 0x00", "\x00", func(r *wire.Reader) { r.Maybe() }},
		{"maybe 0x01", "\x01", func(r *wire.Reader) { r.Maybe() }},
		{"maybe T", "T", func(r *wire.Reader) { r.Maybe() }},
		{"empty list", "\x00", func(r *wire.Reader) { r.NonEmptyCount() }},
		{"versions reversed", "\x00\x12\x00\x06", func(r *wire.Reader) { r.VersionRange() }},
		{"take negative", "abc", func(r *wire.Reader) { r.Take(-1) }},
		{"take too much", "abc", func(r *wire.Reader) { r.Take(4) }},
		{"reset outside", "abc", func(r *wire.Reader) { r.Reset(4) }},
		{"reset negative", "abc", func(r *wire.Reader) { r.Reset(-1) }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := wire.NewReader([]byte(c.in))
			c.read(&r)
			if !errors.Is(r.Done(), wire.ErrSyntax) || !errors.Is(r.Err(), wire.ErrSyntax) {
				t.Error("accepted")
			}
		})
	}
}

func TestReaderStaysFailed(t *testing.T) {
	r := wire.NewReader([]byte("abcdefghijkl"))
	r.Fail()
	if _, ok := r.Peek(); ok {
		t.Error("Peek")
	}
	zero := []bool{
		r.Byte() == 0, r.Uint16() == 0, r.Uint32() == 0, r.Int64() == 0, !r.Bool(), !r.Maybe(), r.Str() == nil,
		r.Large() == nil, r.Take(1) == nil, r.Tail() == nil, r.Count() == 0, r.NonEmptyCount() == 0, r.Len() == 0,
		r.Version() == 0, r.VersionRange() == wire.VersionRange{},
	}
	for i, ok := range zero {
		if !ok {
			t.Errorf("method %d returned something after a failure", i)
		}
	}
	if !r.Failed() {
		t.Error("failure was cleared")
	}
}

func TestReaderMark(t *testing.T) {
	r := wire.NewReader([]byte("ab\x05cd"))
	r.Byte()
	mark := r.Mark()
	if b, ok := r.Peek(); !ok || b != 'b' || r.Mark() != mark {
		t.Errorf("Peek: %c %v", b, ok)
	}
	r.Byte()
	if r.Str(); !r.Failed() {
		t.Fatal("a string beyond the end was read")
	}
	r.Reset(mark)
	if got := r.Tail(); string(got) != "b\x05cd" || r.Done() != nil {
		t.Errorf("after Reset: %q, %v", got, r.Done())
	}
	if got := r.Tail(); got == nil || len(got) != 0 {
		t.Errorf("Tail at the end: %v", got)
	}
}

// TestReaderViews checks that appending to a field does not reach into the next.
func TestReaderViews(t *testing.T) {
	in := []byte("\x02ab\x02cd")
	r := wire.NewReader(in)
	first := r.Str()
	_ = append(first, "XXXX"...)
	if second := r.Str(); string(second) != "cd" || !bytes.Equal(in, []byte("\x02ab\x02cd")) {
		t.Errorf("the input is now %q", in)
	}
	first[0] = 'z'
	if in[1] != 'z' {
		t.Error("Str copied")
	}
}

func TestVersionRange(t *testing.T) {
	a := wire.VersionRange{Min: 6, Max: 18}
	if both, ok := a.Intersect(wire.VersionRange{Min: 8, Max: 20}); !ok || both != (wire.VersionRange{Min: 8, Max: 18}) {
		t.Errorf("Intersect: %v %v", both, ok)
	}
	if _, ok := a.Intersect(wire.VersionRange{Min: 19, Max: 20}); ok {
		t.Error("ranges apart intersect")
	}
	if a.Contains(5) || !a.Contains(6) || !a.Contains(18) || a.Contains(19) {
		t.Error("Contains")
	}
}

func TestAppendPanics(t *testing.T) {
	cases := map[string]func(){
		"short":    func() { wire.AppendStr(nil, make([]byte, 256)) },
		"large":    func() { wire.AppendLarge(nil, make([]byte, 65536)) },
		"count":    func() { wire.AppendCount(nil, 256) },
		"negative": func() { wire.AppendCount(nil, -1) },
	}
	for name, f := range cases {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("did not panic")
				}
			}()
			f()
		})
	}
}
