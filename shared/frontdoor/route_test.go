package frontdoor

import (
	"strings"
	"testing"

	"sotto/shared/clienthello"
)

func TestRoute(t *testing.T) {
	two := hosts{own: []string{"smp.example"}, files: []string{"xftp.example"}}
	one := hosts{own: []string{"relay.example"}, files: []string{"relay.example"}}
	for _, tc := range []struct {
		hosts hosts
		name  string
		alpn  string
		want  route
	}{
		{two, "", "smp/1", toMessages},
		{two, "", "", toEither},
		{two, "", "xftp/1", toFiles},
		{two, "smp.example", "xftp/1", toFiles},
		{two, "", "http/1.1", toEither},
		{two, "", "h2 http/1.1", toPages},
		{two, "", "http/1.1 smp/1", toMessages},
		{two, "smp.example", "h2 http/1.1", toPages},
		{two, "smp.example", "smp/1", toPages},
		{two, "smp.example", "", toPages},
		{two, "other.example", "http/1.1", toPages},
		{two, "xftp.example", "h2", toFiles},
		{two, "xftp.example", "", toFiles},
		{two, "smp.example", "acme-tls/1", toChallenge},
		{two, "xftp.example", "acme-tls/1", toFiles},
		{one, "relay.example", "h2 http/1.1", toFiles},
		{one, "relay.example", "acme-tls/1", toChallenge},
		{one, "", "smp/1", toMessages},
		{hosts{}, "relay.example", "h2", toPages},
	} {
		if got := tc.hosts.route(&clienthello.Hello{Name: tc.name, ALPN: strings.Fields(tc.alpn)}); got != tc.want {
			t.Errorf("%v, name %q, ALPN %q: %d, want %d", tc.hosts, tc.name, tc.alpn, got, tc.want)
		}
	}
}
