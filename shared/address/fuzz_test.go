package address_test

import (
	"reflect"
	"testing"

	"sotto/shared/address"
	"sotto/shared/wire"
)

func FuzzParseAddress(f *testing.F) {
	for _, c := range loadAddresses(f) {
		f.Add(c.Input)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := address.Parse(address.SMP, text)
		if err != nil {
			return
		}
		r := wire.NewReader(s.AppendServer(nil))
		if read := address.ReadServer(&r); r.Done() != nil || !read.Equal(s) {
			t.Fatalf("%q does not survive its binary form", text)
		}
		if s.Port != "" && s.Hosts[len(s.Hosts)-1].Kind() == address.IPv6 {
			return // printed without brackets, so the port becomes a part of it
		}
		if again, err := address.Parse(address.SMP, s.String()); err != nil || !reflect.DeepEqual(again, s) {
			t.Fatalf("%q became %q: %v", text, s.String(), err)
		}
	})
}

func FuzzReadServer(f *testing.F) {
	for _, c := range loadAddresses(f) {
		f.Add([]byte(c.Encoded))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := wire.NewReader(b)
		s := address.ReadServer(&r)
		if r.Done() != nil {
			return
		}
		first := s.AppendServer(nil)
		r = wire.NewReader(first)
		if again := address.ReadServer(&r); r.Done() != nil || !reflect.DeepEqual(again, s) {
			t.Fatalf("%q became %q", b, first)
		}
		_ = s.String()
	})
}
