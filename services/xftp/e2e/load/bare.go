package main

//lint:file-ignore SA1019 net/http speaks HTTP/2 only where ALPN says h2; here it is spoken whatever ALPN says. Spec: xftp.md 3.3

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"golang.org/x/net/http2"

	"sotto/services/xftp/internal/client"
	"sotto/shared/address"
	"sotto/shared/identity"
	"sotto/shared/load"
	"sotto/shared/transport"
	"sotto/shared/xftp"
)

// bareCommand makes this program serve as the reference: an HTTP/2 server that throws away what is uploaded, and makes up
// what is downloaded, with the same TLS, windows and sizes as the relay, and nothing else of it.
const bareCommand = "bare"

// Bounds of the reference's HTTP/2, the same as the relay's.
const (
	streamWindow     = 4<<20 + 64<<10
	connectionWindow = 16 << 20
	maxFrame         = 2*(16<<10) - 9
)

// serveBare serves on a free port, whose address it prints, until its standard input ends.
func serveBare() error {
	dir, err := os.MkdirTemp("", "sotto-bare-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	id, err := identity.Create(dir, "localhost", time.Now())
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fingerprint := id.Fingerprint()
	s := address.Server{Scheme: address.XFTP, Fingerprint: fingerprint[:], Hosts: []address.Host{"127.0.0.1"}}
	_, s.Port, _ = net.SplitHostPort(ln.Addr().String())
	load.BeChild(s.String(), func() { _ = ln.Close() })
	profile := transport.NewFileTLS(id, []string{xftp.ALPN}, nil)
	for {
		raw, err := ln.Accept()
		if err != nil {
			return nil
		}
		go func() {
			session, _, err := profile.Handshake(context.Background(), raw)
			if err != nil {
				return
			}
			server := http2.Server{
				MaxUploadBufferPerStream: streamWindow, MaxUploadBufferPerConnection: connectionWindow, MaxReadFrameSize: maxFrame,
			}
			server.ServeConn(session.Conn, &http2.ServeConnOpts{Handler: newBareHandler()})
		}()
	}
}

// newBareHandler answers like the relay does, in sizes only.
func newBareHandler() http.Handler {
	piece := make([]byte, 64<<10)
	_, _ = rand.Read(piece) // never fails
	buf := make([]byte, 64<<10)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Date"], w.Header()["Content-Type"] = nil, nil
		n, _ := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{r.Body}, buf)
		_, _ = w.Write(piece[:xftp.BlockSize])
		if n > xftp.BlockSize {
			return
		}
		for left := chunkSize; left > 0; left -= len(piece) {
			if _, err := w.Write(piece); err != nil {
				return
			}
		}
	})
}

// startBare starts the reference.
func startBare(ctx context.Context) (*load.Child, address.Server, error) {
	child, err := load.StartChild(ctx, bareCommand)
	if err != nil {
		return nil, address.Server{}, err
	}
	at, err := address.Parse(address.XFTP, child.Line)
	if err != nil {
		err = errors.Join(err, child.End())
	}
	return child, at, err
}

// bareClient moves chunks to and from the reference.
type bareClient struct {
	conn *client.Conn
	body []byte
}

func dialBare(ctx context.Context, at address.Server, body []byte) (mover, error) {
	conn, err := client.DialConn(ctx, at, client.Options{})
	if err != nil {
		return nil, err
	}
	return &bareClient{conn: conn, body: body}, nil
}

func (c *bareClient) upload(ctx context.Context) error {
	head := make([]byte, xftp.BlockSize)
	return exchange(ctx, c.conn, head, c.body, 0, nil)
}

func (c *bareClient) download(ctx context.Context) error {
	return exchange(ctx, c.conn, make([]byte, xftp.BlockSize), nil, chunkSize, nil)
}

func (c *bareClient) close() { _ = c.conn.Close() }
