// Package probe tests a relay from the outside, as a client that knows nothing but its address: the exact sequence of
// the app's "Test server" button, then a conversation. It tells a person what works, and why something does not, and
// never prints keys or ids.
package probe

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"strconv"
	"time"

	"sotto/services/smp/internal/client"
	"sotto/shared/address"
	"sotto/shared/auth"
	"sotto/shared/report"
	"sotto/shared/smp"
)

// How long apps wait for a relay. Spec: smp.md 12
const (
	connectTimeout = 15 * time.Second
	commandTimeout = 10 * time.Second
)

// cleanupTimeout bounds the deletion of a queue after a failure.
const cleanupTimeout = 2 * time.Second

// prober is one test of one relay.
type prober struct {
	server  smp.Server
	host    string // and port, for people
	options client.Options
	connect time.Duration // bounds each connection
	command time.Duration // bounds each command
	report  *report.Report
}

func newProber(server smp.Server, out io.Writer) *prober {
	return &prober{
		server: server, connect: connectTimeout, command: commandTimeout,
		report: report.New(out),
	}
}

// Run tests the relay at address and writes to out a line for each step, with the time it took, and the reason for a
// failure. alpn are the protocols to offer; nil: what apps offer. The error, a [*Failure], has been told in full when Run
// returns. What the test created it deletes.
func Run(ctx context.Context, address string, alpn []string, out io.Writer) error {
	server, err := smp.ParseAddress(address)
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
	recipient, err := p.dial(ctx, "connect", "TLS and identity", "hello")
	if err != nil {
		return p.fail(err)
	}
	defer recipient.Close()
	p.report.Line("protocol version", strconv.Itoa(int(recipient.Version())))

	p.report.Title(`What the app's "Test server" does`)
	if err := p.appTest(ctx, recipient); err != nil {
		return p.fail(err)
	}
	p.report.Title("A conversation")
	if err := p.conversation(ctx, recipient); err != nil {
		return p.fail(err)
	}
	p.report.Title("The relay works (" + report.Duration(p.report.Now().Sub(began)) + ").")
	return nil
}

// dial connects, with a line under each of these names: for all stages in turn, or one for all of them.
func (p *prober) dial(ctx context.Context, names ...string) (*client.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, p.connect)
	defer cancel()
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

// step runs one command, with a line under this name.
func (p *prober) step(ctx context.Context, name string, run func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, p.command)
	defer cancel()
	p.report.Begin(name)
	if err := run(ctx); err != nil {
		return err
	}
	p.report.Done()
	return nil
}

// errRefused: the relay takes no new queue from this client. Spec: smp.md 9.2
var errRefused = errors.New("new queue refused")

// create makes a queue, as apps do, to be deleted by the caller.
func (p *prober) create(ctx context.Context, c *client.Client) (q *client.Queue, err error) {
	err = p.step(ctx, "create a queue (NEW)", func(ctx context.Context) error {
		q, err = c.NewQueue(ctx, client.QueueOptions{Mode: smp.ModeMessaging, Subscribe: true})
		if errors.Is(err, smp.ErrAuth) {
			return errRefused
		}
		return err
	})
	return q, err
}

// delete deletes the queue, as the last step.
func (p *prober) delete(ctx context.Context, c *client.Client, q *client.Queue) error {
	return p.step(ctx, "delete the queue (DEL)", func(ctx context.Context) error { return c.Delete(ctx, q) })
}

// cleanUp deletes the queue of a test that failed, if that is possible.
func cleanUp(ctx context.Context, c *client.Client, q *client.Queue) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	_ = c.Delete(ctx, q)
}

// appTest is what the app does. A relay from before version 9 has no SKEY.
//
// Spec: smp.md 9.2
func (p *prober) appTest(ctx context.Context, c *client.Client) error {
	q, err := p.create(ctx, c)
	if err != nil {
		return err
	}
	if c.Version() >= smp.VersionSenderSecure {
		err = p.step(ctx, "secure it as its sender (SKEY)", func(ctx context.Context) error {
			return c.SecureBySender(ctx, q.SenderID, auth.NewEd25519())
		})
	}
	if err != nil {
		cleanUp(ctx, c, q)
		return err
	}
	return p.delete(ctx, c, q)
}

// conversation is the life of one queue, with a sender on a connection of its own.
func (p *prober) conversation(ctx context.Context, recipient *client.Client) error {
	sender, err := p.dial(ctx, "connect again, as the sender")
	if err != nil {
		return err
	}
	defer sender.Close()
	q, err := p.create(ctx, recipient)
	if err != nil {
		return err
	}
	if err := p.exchange(ctx, recipient, sender, q); err != nil {
		cleanUp(ctx, recipient, q)
		return err
	}
	return p.delete(ctx, recipient, q)
}

// exchange secures the queue and takes one message of the greatest size through it.
func (p *prober) exchange(ctx context.Context, recipient, sender *client.Client, q *client.Queue) error {
	k := auth.NewEd25519()
	sent := make([]byte, smp.MaxBody(sender.Version()))
	_, _ = rand.Read(sent) // never fails
	err := p.step(ctx, "secure it as its recipient (KEY)", func(ctx context.Context) error {
		return recipient.Secure(ctx, q, k.Public())
	})
	if err != nil {
		return err
	}
	err = p.step(ctx, "send a message of 16 KB (SEND)", func(ctx context.Context) error {
		return sender.Send(ctx, q.SenderID, k, false, sent)
	})
	if err != nil {
		return err
	}
	var id smp.MessageID
	err = p.step(ctx, "receive and decrypt it (MSG)", func(ctx context.Context) error {
		id, err = receive(ctx, recipient, q, sent)
		return err
	})
	if err != nil {
		return err
	}
	return p.step(ctx, "acknowledge it (ACK)", func(ctx context.Context) error {
		next, err := recipient.Acknowledge(ctx, q, id)
		if err == nil && next != nil {
			return errMessage
		}
		return err
	})
}

// errMessage: what the relay delivered is not what was sent.
var errMessage = errors.New("another message came than was sent")

// receive waits for the message with this body and returns its id.
func receive(ctx context.Context, c *client.Client, q *client.Queue, body []byte) (smp.MessageID, error) {
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case event, ok := <-c.Events():
			if !ok {
				return nil, c.Err()
			}
			msg, ok := event.Response.(smp.MSG)
			if event.Err != nil || !ok || !bytes.Equal(event.EntityID, q.RecipientID) {
				continue
			}
			m, err := q.Open(msg)
			if err != nil {
				return nil, err
			}
			if m.Quota || !bytes.Equal(m.Body, body) {
				return nil, errMessage
			}
			return m.ID, nil
		}
	}
}

// fail ends the report with the reason for err.
func (p *prober) fail(err error) error {
	f := &Failure{Reason: p.explain(err), Err: err}
	p.report.Failed(f.Reason)
	return f
}

// place is where the relay is, for sentences.
func (p *prober) place() report.Place {
	host, port, err := net.SplitHostPort(p.host)
	if err != nil {
		host, port = p.host, address.SMP.DefaultPort()
	}
	return report.Place{Host: host, Port: port, Waited: p.connect}
}
