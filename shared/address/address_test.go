package address_test

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"sotto/shared/address"
	"sotto/shared/internal/vectors"
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
			got, err := address.Parse(address.SMP, c.Input)
			if !c.Valid {
				if !errors.Is(err, address.ErrAddress) {
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

func (c addressVector) check(t *testing.T, got address.Server) {
	t.Helper()
	want := address.Server{Fingerprint: c.Fingerprint, Port: c.Port}
	for _, h := range c.Hosts {
		want.Hosts = append(want.Hosts, address.Host(h))
	}
	if c.Password != nil {
		want.Password = address.Password(*c.Password)
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got %#v, %s", got, got.String())
	}
	kinds := map[address.HostKind]string{address.Domain: "domain", address.Onion: "onion", address.IPv4: "ipv4", address.IPv6: "ipv6"}
	for i, h := range got.Hosts {
		if kinds[h.Kind()] != c.Kinds[i] {
			t.Errorf("host %d is %s, want %s", i, kinds[h.Kind()], c.Kinds[i])
		}
	}
	if got.String() != c.Canonical {
		t.Errorf("printed %s, want %s", got.String(), c.Canonical)
	}
	sameBytes(t, "binary form", got.AppendServer(nil), c.Encoded)
	r := wire.NewReader(c.Encoded)
	read := address.ReadServer(&r)
	if err := r.Done(); err != nil || !read.Equal(got) || read.Password != nil {
		t.Errorf("read from the binary form: %s, %v", read.String(), err)
	}
	for n := range c.Encoded {
		r := wire.NewReader(c.Encoded[:n])
		if address.ReadServer(&r); r.Done() == nil {
			t.Errorf("first %d bytes of the binary form were accepted", n)
		}
	}
	// The older binary form, which this protocol does not use any more, has one host without a count.
	legacy := wire.AppendStr(nil, []byte(got.Hosts[0]))
	legacy = wire.AppendStr(wire.AppendStr(legacy, []byte(got.Port)), got.Fingerprint)
	sameBytes(t, "older binary form", legacy, c.Legacy)
}

func TestHosts(t *testing.T) {
	for in, want := range map[string]struct {
		host address.Host
		kind address.HostKind
	}{
		"1.2.3.4":                {"1.2.3.4", address.IPv4},
		"1.2.3":                  {"1.2.3", address.Domain},
		"1.2.3.4.example.com":    {"1.2.3.4.example.com", address.Domain},
		"::":                     {"::", address.IPv6},
		"[2001:DB8:0:0:0:0:0:1]": {"2001:db8::1", address.IPv6},
		"2001:db8:0::1":          {"2001:db8::1", address.IPv6},
		"[::ffff:1.2.3.4]":       {"::ffff:102:304", address.IPv6},
		"beef":                   {"beef", address.Domain},
		".onion":                 {".onion", address.Onion},
		"a2.onion":               {"a2.onion", address.Onion},
		"onion":                  {"onion", address.Domain},
		"пример.рф":              {"пример.рф", address.Domain},
		"[abc":                   {"[abc", address.Domain},
	} {
		got, ok := address.ParseHost(in)
		if !ok || got != want.host || got.Kind() != want.kind {
			t.Errorf("%q: %q, kind %d, %v", in, string(got), got.Kind(), ok)
		}
	}
	for _, in := range []string{
		"", "a b", "a/b", "a#b", "a;b", "a,b", "a:b", "a\tb", "a\nb", "A.onion", "a.b.onion", "::ffff:1.2.3.4", "fe80::1%eth0",
		"[fe80::1%eth0]", "[1.2.3.4:5]", ":::", strings.Repeat("a", 256),
	} {
		if got, ok := address.ParseHost(in); ok {
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
		got, err := address.Parse(address.SMP, in)
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
		if got, err := address.Parse(address.SMP, in); !errors.Is(err, address.ErrAddress) {
			t.Errorf("%s: %s, %v", in, got.String(), err)
		}
	}
}

func TestServerEqual(t *testing.T) {
	parse := func(s string) address.Server {
		server, err := address.Parse(address.SMP, s)
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

// TestRedaction: nothing that identifies a relay or opens it is printed, whatever the verb.
func TestRedaction(t *testing.T) {
	server, err := address.Parse(address.XFTP, "xftp://c2VjcmV0:secret@secret.onion")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{server, &server, server.Hosts, server.Hosts[0], server.Password} {
		for _, verb := range []string{"%v", "%+v", "%s", "%q", "%x"} {
			printed := strings.ToLower(fmt.Sprintf(verb, v))
			for _, leak := range []string{"secret", "736563726574", "c2vjcmv0"} {
				if strings.Contains(printed, leak) {
					t.Errorf("%T printed with %s: %s", v, verb, printed)
				}
			}
		}
	}
}

// TestSchemes: the protocols have ports of their own, and one's address is not the other's.
func TestSchemes(t *testing.T) {
	s, err := address.Parse(address.XFTP, "xftp://AAAA:pw@a,b:444")
	if err != nil || s.String() != "xftp://AAAA:pw@a,b:444" || s.Scheme.DefaultPort() != "443" {
		t.Errorf("%s %v", s.String(), err)
	}
	if _, err := address.Parse(address.XFTP, "smp://AAAA@a"); !errors.Is(err, address.ErrAddress) {
		t.Errorf("an address of another protocol: %v", err)
	}
}

func sameBytes(t *testing.T, what string, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Errorf("%s:\n got %x\nwant %x", what, got, want)
	}
}
