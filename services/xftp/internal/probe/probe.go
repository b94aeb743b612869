// Package probe tests a relay from the outside, as a client that knows nothing but its address: the exact sequence of
// the app's "Test server" button, then a chunk of the largest size. It tells a person what works, and why something
// does not, and never prints keys or ids.
package probe

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"sotto/services/xftp/internal/client"
	"sotto/shared/address"
	"sotto/shared/auth"
	"sotto/shared/key"
	"sotto/shared/report"
	"sotto/shared/wire"
	"sotto/shared/xftp"
)

// How long apps wait for a relay. Spec: xftp.md 12.5
const (
	connectTimeout  = 45 * time.Second
	requestTimeout  = 30 * time.Second
	transferTimeout = 5 * time.Minute // what relays give an upload
)

// cleanupTimeout bounds the deletion of a chunk after a failure.
const cleanupTimeout = 2 * time.Second

// Sizes of the chunks in bytes: that of the app's test, and the largest that there is. Spec: xftp.md 14.2
const (
	appSize     = 64 << 10
	largestSize = 4 << 20
)

// prober is one test of one relay.
type prober struct {
	server  address.Server
	host    string // and port, for people
	options client.Options
	report  *report.Report
}

func newProber(server address.Server, out io.Writer) *prober {
	return &prober{
		server: server, report: report.New(out),
		options: client.Options{
			ConnectTimeout: connectTimeout, RequestTimeout: requestTimeout, StallTimeout: requestTimeout,
			TransferTimeout: transferTimeout,
		},
	}
}

// Run tests the relay at this address and writes to out a line for each step, with the time it took, and the reason for
// a failure. alpn are the protocols to offer; nil: what apps offer. The error, a [*report.Failure], has been told in full
// when Run returns. What the test created it deletes.
func Run(ctx context.Context, relay string, alpn []string, out io.Writer) error {
	server, err := address.Parse(address.XFTP, relay)
	p := newProber(server, out)
	p.options.ALPN = alpn
	if err == nil {
		p.host, err = client.Address(server)
	}
	if err != nil {
		return p.fail(err)
	}
	return p.run(ctx)
}

// run connects and goes through both parts of the test.
func (p *prober) run(ctx context.Context) error {
	p.report.Title("Testing the relay at " + p.host)
	began := p.report.Now()
	c, err := p.dial(ctx)
	if err != nil {
		return p.fail(err)
	}
	defer c.Close()
	p.report.Line("protocol version", strconv.Itoa(int(c.Version())))

	p.report.Title(`What the app's "Test server" does`)
	if err := p.chunk(ctx, c, appSize, "64 KB"); err != nil {
		return p.fail(err)
	}
	p.report.Title("A chunk of the largest size")
	if err := p.chunk(ctx, c, largestSize, "4 MB"); err != nil {
		return p.fail(err)
	}
	p.report.Title("The relay works (" + report.Duration(p.report.Now().Sub(began)) + ").")
	return nil
}

// dial connects, with a line for each stage.
func (p *prober) dial(ctx context.Context) (*client.Client, error) {
	names := []string{"connect", "TLS and identity", "handshake"}
	options := p.options
	options.OnStage = func(stage client.Stage) {
		if next := int(stage) + 1; next < len(names) {
			p.report.Done()
			p.report.Begin(names[next])
		}
	}
	p.report.Begin(names[0])
	c, err := client.Dial(ctx, p.server, options)
	if err == nil {
		p.report.Done()
	}
	return c, err
}

// step runs one step, with a line under this name.
func (p *prober) step(name string, run func() error) error {
	p.report.Begin(name)
	if err := run(); err != nil {
		return err
	}
	p.report.Done()
	return nil
}

var (
	// errRefused: the relay registers no new chunk for this client. Spec: xftp.md 8.1
	errRefused = errors.New("new chunk refused")
	// errBody: what the relay gave back is not what was sent.
	errBody = errors.New("another body came than was sent")
)

// chunk is what the app does with a chunk of 64 KB, with a chunk of any size.
//
// Spec: xftp.md 14.2
func (p *prober) chunk(ctx context.Context, c *client.Client, size uint32, name string) error {
	sent := make([]byte, size)
	_, _ = rand.Read(sent) // never fails
	digest := sha256.Sum256(sent)
	sender, recipient := auth.NewEd25519(), auth.NewEd25519()
	var senderID wire.EntityID
	var recipientIDs []wire.EntityID
	err := p.step(fmt.Sprintf("register %s (FNEW)", name), func() (err error) {
		senderID, recipientIDs, err = c.Create(ctx, sender, size, digest[:], []key.Public{recipient.Public()})
		if errors.Is(err, xftp.ErrAuth) {
			return errRefused
		}
		return err
	})
	if err != nil {
		return err
	}
	err = p.step("upload it (FPUT)", func() error {
		return c.Upload(ctx, senderID, sender, bytes.NewReader(sent), size)
	})
	if err == nil {
		err = p.step("download and decrypt it (FGET)", func() error {
			return download(ctx, c, recipientIDs[0], recipient, sent)
		})
	}
	if err != nil {
		p.cleanUp(ctx, senderID, sender)
		return err
	}
	return p.step("delete it (FDEL)", func() error { return c.Delete(ctx, senderID, sender) })
}

// download downloads a chunk and compares it.
func download(ctx context.Context, c *client.Client, id wire.EntityID, k auth.Key, sent []byte) error {
	var got bytes.Buffer
	got.Grow(len(sent))
	if err := c.Download(ctx, id, k, uint32(len(sent)), nil, &got); err != nil {
		return err
	}
	if !bytes.Equal(got.Bytes(), sent) {
		return errBody
	}
	return nil
}

// cleanUp deletes the chunk of a test that failed, if that is possible: on another connection, since the failure has
// ended this one.
func (p *prober) cleanUp(ctx context.Context, senderID wire.EntityID, sender auth.Key) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	c, err := client.Dial(ctx, p.server, p.options)
	if err != nil {
		return
	}
	defer c.Close()
	_ = c.Delete(ctx, senderID, sender)
}

// fail ends the report with the reason for err.
func (p *prober) fail(err error) error {
	f := &report.Failure{Reason: p.explain(err), Err: err}
	p.report.Failed(f.Reason)
	return f
}
