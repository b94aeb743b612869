package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"sotto/services/xftp/internal/client"
	"sotto/shared/relay"
	"sotto/shared/xftp"
)

// persistent is a client that connects again, and repeats what it was at, as apps do.
//
// Spec: xftp.md 9.3
type persistent struct {
	t *testing.T
	r *relay.Relay
	c *client.Client
}

// retryTime is the pause before something is repeated.
const retryTime = 50 * time.Millisecond

// errLost: the relay does not know what it has confirmed.
var errLost = errors.New("the relay has lost what it confirmed")

// do repeats what until it succeeds. A relay that does not know an id, or has no body, has lost something.
func (p *persistent) do(ctx context.Context, what string, do func(*client.Client) error) error {
	for {
		err := p.try(ctx, do)
		var refusal xftp.Error
		switch {
		case err == nil:
			return nil
		case errors.As(err, &refusal) && (refusal == xftp.ErrAuth || refusal == xftp.ErrNoFile || refusal == xftp.ErrDigest):
			return fmt.Errorf("%s: %w: %w", what, errLost, refusal)
		case errors.Is(err, errOtherBytes), errors.Is(err, client.ErrTag), errors.Is(err, client.ErrDigest):
			return fmt.Errorf("%s: %w", what, err)
		}
		select {
		case <-time.After(retryTime):
		case <-ctx.Done():
			return fmt.Errorf("%s: %w, last: %w", what, ctx.Err(), err)
		}
	}
}

func (p *persistent) try(ctx context.Context, do func(*client.Client) error) error {
	if p.c == nil || p.c.Err() != nil {
		s, err := p.r.Server()
		if err != nil {
			return err
		}
		p.c, err = client.Dial(ctx, s, client.Options{RequestTimeout: answerTime, StallTimeout: answerTime})
		if err != nil {
			p.c = nil
			return err
		}
	}
	return do(p.c)
}

func (p *persistent) close() {
	if p.c != nil {
		_ = p.c.Close()
	}
}

// traffic is many clients that upload and download at a time, and that disturbances must not make lose anything.
type traffic struct {
	t    *testing.T
	r    *relay.Relay
	size int

	mu     sync.Mutex    // guards what follows
	left   int           // transfers until the one whose middle is told
	half   chan struct{} // where it is told
	chunks []*uploaded   // whose upload was confirmed
}

// between is how many transfers there are from one disturbance to the next.
const between = 12

// halfway tells when a transfer is in its middle, after some that were left in peace.
func (tr *traffic) halfway() <-chan struct{} {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.left, tr.half = between, make(chan struct{}, 1)
	return tr.half
}

// isHalfway is called in the middle of each transfer.
func (tr *traffic) isHalfway() {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.left--
	if tr.left == 0 {
		tr.half <- struct{}{}
	}
}

// counter tells when n bytes have passed.
type counter struct {
	n    int
	tell func()
}

func (c *counter) count(n int) {
	if c.n > 0 && n >= c.n {
		c.tell()
	}
	c.n -= n
}

func (tr *traffic) newCounter() *counter {
	return &counter{n: tr.size / 2, tell: tr.isHalfway}
}

// countingReader is a body on its way to the relay.
type countingReader struct {
	io.Reader
	c *counter
}

func (r *countingReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p[:min(len(p), 16<<10)])
	r.c.count(n)
	return n, err
}

// countingWriter is a body on its way from the relay.
type countingWriter struct {
	io.Writer
	c *counter
}

func (w *countingWriter) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	w.c.count(n)
	return n, err
}

// disturb runs the traffic of this many senders, each with a recipient, while disturb is called the given number of times,
// each time in the middle of a transfer, and a little longer. Afterwards all that was confirmed must be there.
func (tr *traffic) disturb(ctx context.Context, senders, times int, disturb func(int)) {
	tr.t.Helper()
	enough := make(chan struct{})
	failed := make(chan error, 2*senders)
	var all sync.WaitGroup
	for range senders {
		fresh := make(chan *uploaded, 1000)
		all.Go(func() {
			defer close(fresh)
			if err := tr.send(ctx, enough, fresh); err != nil {
				failed <- err
			}
		})
		all.Go(func() {
			if err := tr.receive(ctx, fresh); err != nil {
				failed <- err
			}
		})
	}
	for i := range times {
		select {
		case <-tr.halfway():
			disturb(i)
		case err := <-failed:
			tr.t.Error(err)
		case <-ctx.Done():
			tr.t.Errorf("disturbance %d: there is no transfer to disturb", i)
		}
	}
	close(enough)
	all.Wait()
	close(failed)
	for err := range failed {
		tr.t.Error(err)
	}
	tr.check(ctx)
}

// send uploads chunks until it is enough.
func (tr *traffic) send(ctx context.Context, enough <-chan struct{}, fresh chan<- *uploaded) error {
	p := &persistent{t: tr.t, r: tr.r}
	defer p.close()
	for {
		select {
		case <-enough:
			return nil
		default:
		}
		u := newChunk(tr.size)
		if err := p.do(ctx, "register", func(c *client.Client) error { return u.register(ctx, c) }); err != nil {
			return err
		}
		err := p.do(ctx, "upload", func(c *client.Client) error { return tr.put(ctx, c, u) })
		if err != nil {
			return err
		}
		tr.mu.Lock()
		tr.chunks = append(tr.chunks, u)
		tr.mu.Unlock()
		select {
		case fresh <- u:
		default: // the recipient has enough to do
		}
	}
}

// receive downloads what comes.
func (tr *traffic) receive(ctx context.Context, fresh <-chan *uploaded) error {
	p := &persistent{t: tr.t, r: tr.r}
	defer p.close()
	for u := range fresh {
		if err := p.do(ctx, "download", func(c *client.Client) error { return tr.get(ctx, c, u) }); err != nil {
			return err
		}
	}
	return nil
}

// check downloads everything that was confirmed.
func (tr *traffic) check(ctx context.Context) {
	tr.t.Helper()
	p := &persistent{t: tr.t, r: tr.r}
	defer p.close()
	for _, u := range tr.chunks {
		if err := p.do(ctx, "download afterwards", func(c *client.Client) error { return tr.get(ctx, c, u) }); err != nil {
			tr.t.Error(err)
			return
		}
	}
	tr.t.Logf("%d chunks of %d KB were confirmed, and are there", len(tr.chunks), tr.size>>10)
}
