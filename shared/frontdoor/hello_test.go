package frontdoor

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"sotto/shared/address"
)

// helloOf returns the bytes of a real client's ClientHello.
func helloOf(t testing.TB, config *tls.Config) []byte {
	t.Helper()
	ours, theirs := net.Pipe()
	defer ours.Close()
	go func() {
		defer theirs.Close()
		_ = theirs.SetDeadline(time.Now().Add(10 * time.Second))
		_ = tls.Client(theirs, config).Handshake() // fails when ours closes
	}()
	header := make([]byte, recordHeader)
	if _, err := io.ReadFull(ours, header); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, int(header[3])<<8|int(header[4]))
	if _, err := io.ReadFull(ours, body); err != nil {
		t.Fatal(err)
	}
	return append(header, body...)
}

// inRecords splits a hello into records of at most n bytes of content.
func inRecords(record []byte, n int) []byte {
	var out []byte
	for part := range slices.Chunk(record[recordHeader:], n) {
		out = append(out, record[0], record[1], record[2], byte(len(part)>>8), byte(len(part)))
		out = append(out, part...)
	}
	return out
}

func TestReadHello(t *testing.T) {
	for _, tc := range []struct {
		name   string
		config *tls.Config
		want   hello
	}{
		{"app", &tls.Config{NextProtos: []string{"smp/1"}}, hello{alpn: []string{"smp/1"}}},
		{"old app", &tls.Config{}, hello{}},
		{"TLS 1.2", &tls.Config{NextProtos: []string{"xftp/1"}, MaxVersion: tls.VersionTLS12}, hello{alpn: []string{"xftp/1"}}},
		{
			"browser",
			&tls.Config{NextProtos: []string{"h2", "http/1.1"}, ServerName: "Relay.Example"},
			hello{name: "relay.example", alpn: []string{"h2", "http/1.1"}},
		},
	} {
		tc.config.InsecureSkipVerify = true
		record := helloOf(t, tc.config)
		for _, n := range []int{1, 2, 3, 4, 5, 100, len(record)} {
			sent := inRecords(record, n)
			if len(sent) > maxRead {
				continue
			}
			for name, r := range map[string]io.Reader{
				"at once": bytes.NewReader(sent), "byte by byte": iotest.OneByteReader(bytes.NewReader(sent)),
				"with more": io.MultiReader(bytes.NewReader(append(slices.Clone(sent), "more"...)), neverReader{t}),
			} {
				g := new(greeting)
				got, err := g.readHello(r)
				if err != nil || got.name != tc.want.name || !slices.Equal(got.alpn, tc.want.alpn) {
					t.Errorf("%s, records of %d, %s: %+v, %v", tc.name, n, name, got, err)
				}
				if !bytes.HasPrefix(g.raw[:g.read], sent) {
					t.Errorf("%s, records of %d, %s: what was read is not what was sent", tc.name, n, name)
				}
			}
		}
	}
}

// neverReader fails the test when it is read: a hello that is complete must not make the door wait.
type neverReader struct{ t *testing.T }

func (n neverReader) Read([]byte) (int, error) {
	n.t.Error("more was read than needed")
	return 0, io.EOF
}

func TestReadHelloRefuses(t *testing.T) {
	record := helloOf(t, &tls.Config{InsecureSkipVerify: true, ServerName: "relay.example"})
	with := func(change func([]byte)) string {
		changed := slices.Clone(record)
		change(changed)
		return string(changed)
	}
	for _, tc := range []struct {
		name, sent string
		want       error
	}{
		{"nothing", "", io.EOF},
		{"half a hello", string(record[:len(record)/2]), io.EOF},
		{"text", "GET / HTTP/1.1\r\n\r\n", errNotTLS},
		{"one byte of text", "G", errNotTLS},
		{"application data", with(func(b []byte) { b[0] = 23 }), errNotTLS},
		{"an empty record", "\x16\x03\x01\x00\x00", errMalformed},
		{"a record that is too long", "\x16\x03\x01\xff\xff", errMalformed},
		{"another message", with(func(b []byte) { b[5] = 2 }), errMalformed},
		{"a message that is too long", "\x16\x03\x01\x00\x04\x01\x01\x00\x00", errTooLong},
		{"extensions cut short", with(func(b []byte) { b[8]-- }), errMalformed},
		{"records without end", strings.Repeat("\x16\x03\x01\x00\x01\x01", 1) + strings.Repeat("\x16\x03\x01\x00\x01\x00", 10_000), errMalformed},
		{"tiny records", "\x16\x03\x01\x00\x04\x01\x00\x3f\xff" + strings.Repeat("\x16\x03\x01\x00\x01\x00", 10_000), errTooLong},
	} {
		if _, err := new(greeting).readHello(strings.NewReader(tc.sent)); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.want)
		}
	}
}

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
		if got := tc.hosts.route(hello{name: tc.name, alpn: strings.Fields(tc.alpn)}); got != tc.want {
			t.Errorf("%v, name %q, ALPN %q: %d, want %d", tc.hosts, tc.name, tc.alpn, got, tc.want)
		}
	}
}

// FuzzReadHello compares what the door reads with what crypto/tls does, which may refuse more.
func FuzzReadHello(f *testing.F) {
	for _, config := range []*tls.Config{
		{ServerName: "relay.example", NextProtos: []string{"h2", "http/1.1"}}, {NextProtos: []string{"smp/1"}}, {},
	} {
		config.InsecureSkipVerify = true
		record := helloOf(f, config)
		f.Add(record)
		f.Add(inRecords(record, 7))
	}
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, sent []byte) {
		g := new(greeting)
		got, err := g.readHello(bytes.NewReader(sent))
		theirs := readTLS(t, sent)
		switch {
		case theirs == nil:
		case errors.Is(err, errTooLong):
		case errors.Is(err, errNotTLS) && g.record > 0: // crypto/tls lets other records come in between, against the rules
		case err != nil:
			t.Errorf("refused what crypto/tls takes: %v", err)
		case got.name != address.CanonicalName(theirs.ServerName) || !slices.Equal(got.alpn, theirs.SupportedProtos):
			t.Errorf("%+v, crypto/tls reads %q and %q", got, theirs.ServerName, theirs.SupportedProtos)
		}
	})
}

// readTLS returns what crypto/tls makes of a hello; nil if it refuses it.
func readTLS(t *testing.T, sent []byte) (info *tls.ClientHelloInfo) {
	t.Helper()
	stop := errors.New("that is enough")
	server := tls.Server(&canned{r: bytes.NewReader(sent)}, &tls.Config{
		GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			info = h
			return nil, stop
		},
	})
	_ = server.Handshake()
	return info
}

// canned is a connection that says what was written down.
type canned struct {
	net.Conn
	r io.Reader
}

func (c *canned) Read(p []byte) (int, error)  { return c.r.Read(p) }
func (c *canned) Write(p []byte) (int, error) { return len(p), nil }
func (c *canned) Close() error                { return nil }
