package clienthello

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

func TestRead(t *testing.T) {
	for _, tc := range []struct {
		name   string
		config *tls.Config
		want   Hello
	}{
		{"app", &tls.Config{NextProtos: []string{"smp/1"}}, Hello{ALPN: []string{"smp/1"}}},
		{"old app", &tls.Config{}, Hello{}},
		{"TLS 1.2", &tls.Config{NextProtos: []string{"xftp/1"}, MaxVersion: tls.VersionTLS12}, Hello{ALPN: []string{"xftp/1"}}},
		{
			"browser",
			&tls.Config{NextProtos: []string{"h2", "http/1.1"}, ServerName: "Relay.Example"},
			Hello{Name: "relay.example", ALPN: []string{"h2", "http/1.1"}},
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
				got, raw, err := Read(r)
				if err != nil || got.Name != tc.want.Name || !slices.Equal(got.ALPN, tc.want.ALPN) {
					t.Errorf("%s, records of %d, %s: %+v, %v", tc.name, n, name, got, err)
				}
				if !bytes.HasPrefix(raw, sent) {
					t.Errorf("%s, records of %d, %s: what was read is not what was sent", tc.name, n, name)
				}
			}
		}
	}
}

// neverReader fails the test when it is read: a hello that is complete must not make anybody wait.
type neverReader struct{ t *testing.T }

func (n neverReader) Read([]byte) (int, error) {
	n.t.Error("more was read than needed")
	return 0, io.EOF
}

func TestReadRefuses(t *testing.T) {
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
		{"text", "GET / HTTP/1.1\r\n\r\n", ErrNotTLS},
		{"one byte of text", "G", ErrNotTLS},
		{"application data", with(func(b []byte) { b[0] = 23 }), ErrNotTLS},
		{"an empty record", "\x16\x03\x01\x00\x00", ErrMalformed},
		{"a record that is too long", "\x16\x03\x01\xff\xff", ErrMalformed},
		{"another message", with(func(b []byte) { b[5] = 2 }), ErrMalformed},
		{"a message that is too long", "\x16\x03\x01\x00\x04\x01\x01\x00\x00", ErrTooLong},
		{"extensions cut short", with(func(b []byte) { b[8]-- }), ErrMalformed},
		{"records without end", strings.Repeat("\x16\x03\x01\x00\x01\x01", 1) + strings.Repeat("\x16\x03\x01\x00\x01\x00", 10_000), ErrMalformed},
		{"tiny records", "\x16\x03\x01\x00\x04\x01\x00\x3f\xff" + strings.Repeat("\x16\x03\x01\x00\x01\x00", 10_000), ErrTooLong},
	} {
		if _, _, err := Read(strings.NewReader(tc.sent)); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.want)
		}
	}
}

// FuzzRead compares what is read with what crypto/tls does, which may refuse more.
func FuzzRead(f *testing.F) {
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
		got, raw, err := Read(bytes.NewReader(sent))
		theirs := readTLS(t, sent)
		switch {
		case theirs == nil:
		case errors.Is(err, ErrTooLong):
		case errors.Is(err, ErrNotTLS) && raw[0] == recordHandshake: // crypto/tls lets other records come in between, against the rules
		case err != nil:
			t.Errorf("refused what crypto/tls takes: %v", err)
		case got.Name != address.CanonicalName(theirs.ServerName) || !slices.Equal(got.ALPN, theirs.SupportedProtos):
			t.Errorf("%+v, crypto/tls reads %q and %q", got, theirs.ServerName, theirs.SupportedProtos)
		default:
			compareNumbers(t, got, theirs)
		}
	})
}

// compareNumbers fails the test unless the lists of numbers are those that crypto/tls reads.
func compareNumbers(t *testing.T, got *Hello, theirs *tls.ClientHelloInfo) {
	t.Helper()
	for _, list := range [][2][]uint16{
		{got.Suites, theirs.CipherSuites},
		{got.Groups, numbers(theirs.SupportedCurves)},
		{got.Signatures, numbers(theirs.SignatureSchemes)},
	} {
		if !slices.Equal(list[0], list[1]) {
			t.Errorf("%x, crypto/tls reads %x", list[0], list[1])
		}
	}
	if got.Versions != nil && !slices.Equal(got.Versions, theirs.SupportedVersions) {
		t.Errorf("versions %x, crypto/tls reads %x", got.Versions, theirs.SupportedVersions)
	}
	types := slices.Sorted(slices.Values(theirs.Extensions))
	for i, e := range got.Extensions {
		if i >= len(types) || e.Type != types[i] || !got.Has(e.Type) {
			t.Errorf("extension %d", e.Type)
		}
	}
}

func numbers[T ~uint16](list []T) []uint16 {
	var out []uint16
	for _, n := range list {
		out = append(out, uint16(n))
	}
	return out
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
