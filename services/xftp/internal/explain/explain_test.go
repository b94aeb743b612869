package explain

//lint:file-ignore SA1019 net/http speaks HTTP/2 only where ALPN says h2; here it is spoken whatever ALPN says. Spec: xftp.md 3.3

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"sotto/services/xftp/internal/client"
	"sotto/shared/address"
	"sotto/shared/identity"
	"sotto/shared/xftp"
)

func TestError(t *testing.T) {
	secret := errors.New("secret")
	dial := func(stage client.Stage, err error) error { return &client.DialError{Stage: stage, Err: err} }
	r := New(address.Server{Hosts: []address.Host{"xftp.example.org"}}, client.Options{})
	for reason, err := range map[string]error{
		"did not answer (waited 30.0 s)":                  context.DeadlineExceeded,
		"closed the connection (closed by peer)":          &client.ConnError{Err: io.EOF},
		"closed the connection (ended by peer (NO_ERROR)": &client.ConnError{Err: http2.GoAwayError{DebugData: "secret"}},
		"closed the connection (request reset (CANCEL)":   &client.ConnError{Err: http2.StreamError{Code: http2.ErrCodeCancel}},
		"unexpected response PONG":                        &client.ResponseError{Tag: "PONG"},
		"operator has blocked the file (spam)":            xftp.BlockedError{Reason: "spam"},
		"has not been finished":                           xftp.ErrNoFile,
		"the error AUTH":                                  xftp.ErrAuth,
		"storage is full":                                 xftp.ErrQuota,
		"cannot store files":                              xftp.ErrFileIO,
		"its log says what":                               xftp.ErrInternal,
		"longer than the relay allows":                    xftp.ErrTimeout,
		"gave back other bytes":                           client.ErrDigest,
		"more or fewer bytes":                             client.ErrSize,
		"does not decrypt":                                client.ErrTag,
		"only .onion hosts":                               client.ErrNoHost,
		"xftp.example.org, port 443":                      dial(client.StageConnect, secret),
		"expired or not yet valid":                        dial(client.StageTLS, identity.ErrDates),
		"does not take the protocol":                      dial(client.StageTLS, client.ErrALPN),
		"no TLS parameters in common":                     dial(client.StageTLS, &net.OpError{Op: "remote error", Err: errors.New("x")}),
		"The TLS handshake failed":                        dial(client.StageTLS, secret),
		"versions 1 to 3":                                 dial(client.StageHello, client.ErrVersion),
		"another TLS session":                             dial(client.StageHello, client.ErrSession),
		"not signed by its certificate":                   dial(client.StageHello, client.ErrIdentity),
		"refuses the handshake":                           dial(client.StageHello, client.ErrRefused),
		"is no relay":                                     dial(client.StageHello, client.ErrMalformed),
		"says nothing after TLS (waited 30.0 s)":          dial(client.StageHello, client.ErrTimeout),
		"instead of a hello":                              dial(client.StageHello, io.EOF),
		"The handshake failed":                            dial(client.StageHello, secret),
		"It was not possible to go on":                    secret,
	} {
		if got := r.Error(err); !strings.Contains(got, reason) || strings.Contains(got, "secret") {
			t.Errorf("got %q, want %q", got, reason)
		}
	}
}

func TestNewRefused(t *testing.T) {
	var s address.Server
	if got := New(s, client.Options{}).NewRefused(); !strings.Contains(got, "it needs a password") {
		t.Errorf("got %q", got)
	}
	s.Password = address.Password("secret")
	got := New(s, client.Options{}).NewRefused()
	if !strings.Contains(got, "the password in the address is wrong") || strings.Contains(got, "secret") {
		t.Errorf("got %q", got)
	}
}

func TestHost(t *testing.T) {
	for want, host := range map[string]address.Host{
		"xftp.example.org:443": "xftp.example.org", "[2001:db8::1]:443": "2001:db8::1", "the relay": "abcdef.onion",
		"a?b:443": "a\x1bb",
	} {
		if got := New(address.Server{Hosts: []address.Host{host}}, client.Options{}).Host(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
