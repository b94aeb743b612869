package smp_test

import (
	"bytes"
	"reflect"
	"testing"

	"sotto/shared/internal/vectors"
	"sotto/shared/smp"
	"sotto/shared/wire"
)

// versions are all that the codec tells apart, and one beyond each end.
func versions() []wire.Version {
	var all []wire.Version
	for v := smp.MinVersion - 1; v <= smp.MaxVersion+1; v++ {
		all = append(all, v)
	}
	return all
}

func FuzzParseCommand(f *testing.F) {
	var cases []commandVector
	vectors.Load(f, "smp/commands.json", &cases)
	for _, c := range cases {
		for _, e := range c.Encodings {
			f.Add([]byte(e.Hex))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, v := range versions() {
			c, err := smp.ParseCommand(v, b)
			if err != nil {
				if err != smp.CmdSyntax && err != smp.CmdUnknown || c != nil {
					t.Fatalf("v%d: %v, %v", v, c, err)
				}
				continue
			}
			first := c.AppendCommand(nil, v)
			again, err := smp.ParseCommand(v, first)
			if err != nil || !reflect.DeepEqual(again, c) {
				t.Fatalf("v%d: %q became %q: %#v, %#v, %v", v, b, first, c, again, err)
			}
			// Only reserved flags and the spelling of hosts are not kept.
			switch c.(type) {
			case smp.SEND, smp.PRXY:
			default:
				if !bytes.Equal(first, b) {
					t.Fatalf("v%d: %q became %q", v, b, first)
				}
			}
			for _, auth := range []bool{false, true} {
				_ = smp.CheckCredentials(c, auth, true)
			}
		}
	})
}

func FuzzParseResponse(f *testing.F) {
	var cases []responseVector
	vectors.Load(f, "smp/responses.json", &cases)
	for _, c := range cases {
		for _, e := range c.Encodings {
			f.Add([]byte(e.Hex))
		}
	}
	var failures errorVectors
	vectors.Load(f, "smp/errors.json", &failures)
	for _, c := range failures.Errors {
		for _, e := range c.Responses {
			f.Add([]byte(e.Hex))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, v := range versions() {
			p, err := smp.ParseResponse(v, b)
			if err != nil {
				if err != wire.ErrSyntax || p != nil {
					t.Fatalf("v%d: %v, %v", v, p, err)
				}
				continue
			}
			first := p.AppendResponse(nil, v)
			again, err := smp.ParseResponse(v, first)
			if err != nil {
				t.Fatalf("v%d: %q became %q: %v", v, b, first, err)
			}
			if second := again.AppendResponse(nil, v); !bytes.Equal(second, first) {
				t.Fatalf("v%d: %q became %q, then %q", v, b, first, second)
			}
			// What a version does not have becomes something else, and so do the details of errors.
			switch p.(type) {
			case smp.SOK, smp.DELD, smp.ERR:
			default:
				if !bytes.Equal(first, b) {
					t.Fatalf("v%d: %q became %q", v, b, first)
				}
			}
		}
	})
}

func FuzzParseError(f *testing.F) {
	var all errorVectors
	vectors.Load(f, "smp/errors.json", &all)
	for _, c := range all.Errors {
		f.Add([]byte(c.Encoded))
	}
	for _, c := range all.Network {
		f.Add(append([]byte("PROXY BROKER NETWORK "), c.Encoded...))
		f.Add([]byte(c.Encoded))
	}
	for _, c := range all.Transport {
		f.Add([]byte(c.Encoded))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if e, err := smp.ParseNetworkError(b); err == nil {
			checkBytes(t, "network error", e.AppendDetail(nil), b)
		}
		if e, err := smp.ParseTransportError(b); err == nil {
			checkBytes(t, "transport error", []byte(e), b)
		}
		e, err := smp.ParseError(b)
		if err != nil {
			return
		}
		_ = e.Error()
		for _, v := range versions() {
			first := e.AppendError(nil, v)
			again, err := smp.ParseError(first)
			if err != nil {
				t.Fatalf("v%d: %q became %q: %v", v, b, first, err)
			}
			checkBytes(t, "error", again.AppendError(nil, v), first)
		}
	})
}

func FuzzParseServerHello(f *testing.F) {
	for _, c := range loadHandshake(f).Server {
		f.Add([]byte(c.Content))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := smp.ParseServerHello(b)
		if err != nil {
			return
		}
		first := h.AppendTo(nil)
		if !bytes.HasPrefix(b, first) {
			t.Fatalf("%q became %q", b, first)
		}
		if again, err := smp.ParseServerHello(first); err != nil || !reflect.DeepEqual(again, h) {
			t.Fatalf("%q: %v, %v", first, again, err)
		}
	})
}

func FuzzParseClientHello(f *testing.F) {
	all := loadHandshake(f)
	for _, c := range append(all.Client, all.Older...) {
		for _, content := range c.Content {
			f.Add([]byte(content))
		}
	}
	for _, c := range all.Service {
		f.Add([]byte(c.Content[0]))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := smp.ParseClientHello(b)
		if err != nil {
			return
		}
		first := h.AppendTo(nil)
		if !bytes.HasPrefix(b, first) {
			t.Fatalf("%q became %q", b, first)
		}
		if again, err := smp.ParseClientHello(first); err != nil || !reflect.DeepEqual(again, h) {
			t.Fatalf("%q: %v, %v", first, again, err)
		}
	})
}

func FuzzParseServiceResponse(f *testing.F) {
	all := loadHandshake(f)
	for _, c := range all.Errors {
		f.Add([]byte(c.Encoded))
	}
	for _, c := range all.Service {
		f.Add([]byte(c.Accepted[0]))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := smp.ParseServiceResponse(b)
		if err != nil {
			return
		}
		if first := s.AppendTo(nil); !bytes.HasPrefix(b, first) {
			t.Fatalf("%q became %q", b, first)
		}
	})
}

func FuzzParseReceived(f *testing.F) {
	all := loadMessages(f)
	for _, c := range all.Cases {
		f.Add([]byte(c.PlainStart))
	}
	f.Add([]byte(all.Quota.Plain))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := smp.ParseReceived(b)
		if err != nil {
			return
		}
		first := smp.AppendReceived(nil, m.Time, m.Notify, m.Body)
		if m.Quota {
			first = smp.AppendQuota(nil, m.Time)
		}
		if again, err := smp.ParseReceived(first); err != nil || !reflect.DeepEqual(again, m) {
			t.Fatalf("%q became %q: %v", b, first, err)
		}
	})
}

// FuzzParseSealed feeds the parsers of what comes out of encryption.
func FuzzParseSealed(f *testing.F) {
	var cases []proxyVector
	vectors.Load(f, "smp/proxy.json", &cases)
	for _, c := range cases {
		f.Add([]byte(c.FwdStart))
	}
	for _, c := range loadMessages(f).Notification.Cases {
		f.Add([]byte(c.Plain))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := smp.ParseForwardTransmission(b); err == nil {
			checkBytes(t, "forward transmission", p.AppendTo(nil), b)
		}
		if p, err := smp.ParseForwardResponse(b); err == nil {
			checkBytes(t, "forward response", p.AppendTo(nil), b)
		}
		if m, err := smp.ParseNotificationMeta(b); err == nil && !bytes.HasPrefix(b, m.AppendTo(nil)) {
			t.Fatalf("%q became %v", b, m)
		}
	})
}

func FuzzParseQueueInfo(f *testing.F) {
	f.Add([]byte(`{"qiSnd":true,"qiNtf":true,"qiSub":{"qSubThread":"subThread","qDelivered":"AbCd"},"qiSize":3,` +
		`"qiMsg":{"msgId":"AbCd","msgTs":"2023-11-14T22:13:20.5Z","msgType":"message"}}`))
	f.Add([]byte(`{"qiSnd":false,"qiNtf":false,"qiSize":0}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		q, err := smp.ParseQueueInfo(b)
		if err != nil {
			return
		}
		first := q.AppendJSON(nil)
		again, err := smp.ParseQueueInfo(first)
		if err != nil {
			t.Fatalf("%q became %q: %v", b, first, err)
		}
		checkBytes(t, "queue info", again.AppendJSON(nil), first)
	})
}
