package smp_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"sotto/shared/internal/vectors"
	"sotto/shared/smp"
	"sotto/shared/wire"
)

type addressVector struct {
	Input       string      `json:"input"`
	Valid       bool        `json:"valid"`
	Canonical   string      `json:"canonical"`
	Fingerprint vectors.Hex `json:"fingerprint"`
	Kinds       []string    `json:"host_kinds"`
	Hosts       []string    `json:"hosts"`
	Legacy      vectors.Hex `json:"legacy_smp_encoded"`
	Encoded     vectors.Hex `json:"smp_encoded"`
	Password    *string     `json:"password"`
	Port        string      `json:"port"`
}

func loadAddresses(t testing.TB) []addressVector {
	t.Helper()
	var cases []addressVector
	vectors.Load(t, "smp/server_addresses.json", &cases)
	return cases
}

func TestAddressVectors(t *testing.T) {
	cases := loadAddresses(t)
	valid := 0
	for _, c := range cases {
		t.Run(c.Input, func(t *testing.T) {
			got, err := smp.ParseAddress(c.Input)
			if !c.Valid {
				if !errors.Is(err, smp.ErrAddress) {
					t.Fatalf("error %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			valid++
			c.check(t, got)
		})
	}
	t.Logf("checked %d cases, %d valid", len(cases), valid)
}

func (c addressVector) check(t *testing.T, got smp.Server) {
	t.Helper()
	want := smp.Server{Fingerprint: c.Fingerprint, Port: c.Port}
	for _, h := range c.Hosts {
		want.Hosts = append(want.Hosts, smp.Host(h))
	}
	_, want.Password = password(c.Password)
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got %#v, %s", got, got.String())
	}
	kinds := map[smp.HostKind]string{smp.Domain: "domain", smp.Onion: "onion", smp.IPv4: "ipv4", smp.IPv6: "ipv6"}
	for i, h := range got.Hosts {
		if kinds[h.Kind()] != c.Kinds[i] {
			t.Errorf("host %d is %s, want %s", i, kinds[h.Kind()], c.Kinds[i])
		}
	}
	if got.String() != c.Canonical {
		t.Errorf("printed %s, want %s", got.String(), c.Canonical)
	}
	checkBytes(t, "binary form", got.AppendServer(nil), c.Encoded)
	r := wire.NewReader(c.Encoded)
	read := smp.ReadServer(&r)
	if err := r.Done(); err != nil || !read.Equal(got) || read.Password != nil {
		t.Errorf("read from the binary form: %s, %v", read.String(), err)
	}
	for n := range c.Encoded {
		r := wire.NewReader(c.Encoded[:n])
		if smp.ReadServer(&r); r.Done() == nil {
			t.Errorf("first %d bytes of the binary form were accepted", n)
		}
	}
	// The older binary form, which this protocol does not use any more, has one host without a count.
	legacy := wire.AppendStr(nil, []byte(got.Hosts[0]))
	legacy = wire.AppendStr(wire.AppendStr(legacy, []byte(got.Port)), got.Fingerprint)
	checkBytes(t, "older binary form", legacy, c.Legacy)
}

func TestHosts(t *testing.T) {
	for in, want := range map[string]struct {
		host smp.Host
		kind smp.HostKind
	}{
		"1.2.3.4":                {"1.2.3.4", smp.IPv4},
		"1.2.3":                  {"1.2.3", smp.Domain},
		"1.2.3.4.example.com":    {"1.2.3.4.example.com", smp.Domain},
		"::":                     {"::", smp.IPv6},
		"[2001:DB8:0:0:0:0:0:1]": {"2001:db8::1", smp.IPv6},
		"2001:db8:0::1":          {"2001:db8::1", smp.IPv6},
		"[::ffff:1.2.3.4]":       {"::ffff:102:304", smp.IPv6},
		"beef":                   {"beef", smp.Domain},
		".onion":                 {".onion", smp.Onion},
		"a2.onion":               {"a2.onion", smp.Onion},
		"onion":                  {"onion", smp.Domain},
		"пример.рф":              {"пример.рф", smp.Domain},
		"[abc":                   {"[abc", smp.Domain},
	} {
		got, ok := smp.ParseHost(in)
		if !ok || got != want.host || got.Kind() != want.kind {
			t.Errorf("%q: %q, kind %d, %v", in, string(got), got.Kind(), ok)
		}
	}
	for _, in := range []string{
		"", "a b", "a/b", "a#b", "a;b", "a,b", "a:b", "a\tb", "a\nb", "A.onion", "a.b.onion", "::ffff:1.2.3.4", "fe80::1%eth0",
		"[fe80::1%eth0]", "[1.2.3.4:5]", ":::", strings.Repeat("a", 256),
	} {
		if got, ok := smp.ParseHost(in); ok {
			t.Errorf("%q was accepted as %q", in, string(got))
		}
	}
}

func TestAddresses(t *testing.T) {
	const fp = "smp://Mgcw_f4DHJkKP0h1Vru0keJ3YO2uc0yJuq94ZQYr5IE="
	for in, want := range map[string]string{
		fp + "@a:0443":            fp + "@a:443",
		fp + "@[::1],b:1":         fp + "@::1,b:1",
		fp + "@::1,b:1":           fp + "@::1,b:1",
		fp + "@::1:5223":          fp + "@::1:5223", // one address without a port
		fp + "@beef:5223":         fp + "@beef:5223",
		fp + "@[::ffff:1.2.3.4]":  fp + "@::ffff:102:304",
		fp + "@1.2.3.4,[::1]:1":   fp + "@1.2.3.4,::1:1",
		fp + ":p\xe9@a":           fp + ":p\xe9@a",
		"smp://AAA@a":             "smp://AAA=@a",
		"smp://AAA=@a":            "smp://AAA=@a",
		fp + "@a.onion,b.onion:1": fp + "@a.onion,b.onion:1",
	} {
		got, err := smp.ParseAddress(in)
		if err != nil || got.String() != want {
			t.Errorf("%s: %s, %v", in, got.String(), err)
		}
	}
	for _, in := range []string{
		"", "smp://", "SMP://AAAA@a", "smp://AAA==@a", "smp://AAAA=@a", "smp://AAB@a", "smp://A@a", "smp://AA\nAA@a",
		"smp://AA+A@a", "smp://AA=A@a", "smp://=@a", fp + "@a,", fp + "@,a", fp + "@a,,b", fp + "@a:1:2", fp + "@a:-1", fp + "@a:+1", fp + "@a:1 ",
		fp + "@a\n" + fp + "@a", fp + "@a\n", fp + "@a:99999999999999999999", fp + "@[::1", fp + "@[::1]x", fp + "@[a]:x", fp + "@a#", fp + ":p\xadw@a",
		fp + ":" + strings.Repeat("p", 256) + "@a", fp + "@" + strings.Repeat("a", 256), fp + "@" + strings.Repeat("a,", 255) + "a",
	} {
		if got, err := smp.ParseAddress(in); !errors.Is(err, smp.ErrAddress) {
			t.Errorf("%s: %s, %v", in, got.String(), err)
		}
	}
}

func TestServerEqual(t *testing.T) {
	parse := func(s string) smp.Server {
		server, err := smp.ParseAddress(s)
		if err != nil {
			t.Fatal(err)
		}
		return server
	}
	a := parse("smp://AAAA@a,b")
	for other, want := range map[string]bool{
		"smp://AAAA@a,b": true, "smp://AAAA:pw@a,b": true, "smp://AAAA@b,a": false, "smp://AAAA@a": false,
		"smp://AAAB@a,b": false, "smp://AAAA@a,b:5223": false,
	} {
		if got := a.Equal(parse(other)); got != want {
			t.Errorf("%s: %v", other, got)
		}
	}
}

// TestRedaction: nothing that identifies anybody is printed, whatever the verb and however deep it is nested.
func TestRedaction(t *testing.T) {
	server, err := smp.ParseAddress("smp://c2VjcmV0:secret@secret.onion")
	if err != nil {
		t.Fatal(err)
	}
	secret := []byte("secret")
	id := wire.EntityID(secret)
	values := []any{
		smp.NEW{BasicAuth: secret, Queue: &smp.QueueRequest{}},
		smp.LinkRequest{LinkID: id, SenderID: id, FixedData: secret, UserData: secret},
		smp.LSET{LinkID: id, FixedData: secret, UserData: secret},
		smp.ACK{MessageID: secret},
		smp.SEND{Body: secret},
		smp.PRXY{Server: server, BasicAuth: secret},
		smp.PFWD{Encrypted: secret},
		smp.RFWD{Encrypted: secret},
		server, server.Hosts,
		smp.IDS{RecipientID: id, SenderID: id, LinkID: id, ServiceID: id},
		smp.LNK{SenderID: id, FixedData: secret, UserData: secret},
		smp.SOK{ServiceID: id},
		smp.MSG{MessageID: secret, EncryptedBody: secret},
		smp.NID{NotifierID: id},
		smp.NMSG{EncryptedMeta: secret},
		smp.INFO{JSON: secret},
		smp.PKEY{SessionID: id},
		smp.RRES{Encrypted: secret},
		smp.PRES{Encrypted: secret},
		smp.ForwardTransmission{CorrID: wire.CorrID(secret), Encrypted: secret},
		smp.ForwardResponse{CorrID: wire.CorrID(secret), Encrypted: secret},
		smp.Received{Body: secret},
		smp.NotificationMeta{MessageID: secret},
		smp.ServerHello{SessionID: id},
		smp.ServiceResponse{ServiceID: id},
		smp.SubscriptionInfo{Delivered: secret},
		smp.HeadInfo{MessageID: secret},
	}
	leaks := []string{"secret", "736563726574", "c2VjcmV0", "115 101 99", "163 145 143", "0x73"}
	for _, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o"} {
			printed := fmt.Sprintf(verb, v)
			for _, leak := range leaks {
				if strings.Contains(strings.ToLower(printed), strings.ToLower(leak)) {
					t.Errorf("%T printed with %s: %s", v, verb, printed)
				}
			}
		}
	}
	for _, m := range []interface{ MarshalText() ([]byte, error) }{
		server, server.Hosts[0], smp.Opaque(secret), smp.MessageID(secret), smp.BasicAuth(secret),
	} {
		if got, err := m.MarshalText(); err != nil || strings.Contains(string(got), "secret") {
			t.Errorf("%T: %s, %v", m, got, err)
		}
	}
}
