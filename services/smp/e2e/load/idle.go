package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"

	"sotto/services/smp/internal/client"
	"sotto/shared/auth"
	"sotto/shared/load"
	"sotto/shared/smp"
)

const (
	// dialers connect at a time.
	dialers = 16
	// perAddress is how many connections come from one address of the loopback interface, well below its ports.
	perAddress = 5000
	// spareFiles are open files beside the connections.
	spareFiles = 200
	// reportTime is how long a relay may take to list its goroutines.
	reportTime = time.Minute
)

// measureIdle opens many connections, each the subscriber of a queue, and lets them be silent.
func measureIdle(ctx context.Context, s *settings, t *load.Table) (err error) {
	n := min(s.idle, filesAllowed()-spareFiles)
	u, err := s.bench.Start(ctx)
	if err != nil {
		return err
	}
	ended := false
	defer func() {
		if ended { // on purpose
			err = errors.Join(err, u.Database.Drop())
		} else {
			err = errors.Join(err, u.End())
		}
	}()
	empty, err := u.Usage()
	if err != nil {
		return err
	}
	began := time.Now()
	conns, err := openIdle(ctx, u, n)
	defer closeAll(conns)
	if err != nil {
		return err
	}
	took := time.Since(began)
	highest, err := u.Usage()
	if err != nil {
		return err
	}
	load.Progress("waiting %v for the relay's memory to settle", s.settle)
	if err := sleep(ctx, s.settle); err != nil {
		return err
	}
	settled, err := u.Usage()
	if err != nil {
		return err
	}
	if err := stillThere(ctx, conns); err != nil {
		return err
	}
	goroutines, err := countGoroutines(ctx, u)
	ended = err == nil
	if err != nil {
		return err
	}
	each := float64(settled.RSS-empty.RSS) / float64(n)
	t.Heading("%d idle connections, each with a subscription", n)
	t.Add("connected in", "%.1f s", took.Seconds())
	t.Add("resident memory without connections", "%s", load.Megabytes(empty.RSS))
	t.Add("  with them, at once and after "+s.settle.String(), "%s, %s", load.Megabytes(highest.RSS), load.Megabytes(settled.RSS))
	t.Aimed("resident memory of a connection", each < 40<<10, "below 40 KB", "%s", load.Kilobytes(each))
	t.Add("goroutines", "%d, %.2f for each connection", goroutines, float64(goroutines)/float64(n))
	if n < s.idle {
		t.Add("fewer connections than asked for", "the limit of open files is %d", filesAllowed())
	}
	return nil
}

// filesAllowed is the number of files that this process, and so the relay, may have open.
func filesAllowed() int {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return 1024
	}
	return int(min(limit.Cur, 1<<30))
}

// sleep waits, unless ctx ends before.
func sleep(ctx context.Context, d time.Duration) error { return wait(ctx, d, nil) }

// openIdle opens n connections. It returns those it has, also with an error.
func openIdle(ctx context.Context, u *load.Relay, n int) ([]*client.Conn, error) {
	conns := make([]*client.Conn, n)
	numbers := make(chan int)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var all sync.WaitGroup
	for range dialers {
		all.Go(func() {
			for i := range numbers {
				var err error
				if conns[i], err = idleConn(ctx, u, i); err != nil {
					cancel(fmt.Errorf("connection %d: %w", i, err))
				}
			}
		})
	}
	for i := range n {
		if ctx.Err() != nil {
			break
		}
		if i > 0 && i%2000 == 0 {
			load.Progress("%d connections", i)
		}
		numbers <- i
	}
	close(numbers)
	all.Wait()
	return conns, context.Cause(ctx)
}

// idleConn connects and creates a queue, to which the connection is then subscribed.
func idleConn(ctx context.Context, u *load.Relay, i int) (*client.Conn, error) {
	server, err := u.Server()
	if err != nil {
		return nil, err
	}
	from := &net.TCPAddr{IP: net.IPv4(127, 0, byte(1+i/perAddress), 1)}
	c, err := client.DialConn(ctx, server, client.Options{Dialer: (&net.Dialer{LocalAddr: from}).DialContext})
	if err != nil {
		return nil, err
	}
	deadline, _ := ctx.Deadline()
	if err := c.SetDeadline(deadline); err != nil {
		return c, err
	}
	k, dh := auth.NewEd25519(), auth.NewX25519()
	err = c.Send(&client.Request{Command: smp.NEW{
		AuthKey: k.Public(), DHKey: dh.Public(), Subscribe: true, Queue: &smp.QueueRequest{Mode: smp.ModeMessaging},
	}, Key: k})
	if err == nil {
		err = expect(c, "IDS")
	}
	return c, err
}

// expect reads one answer, which must be of this kind.
func expect(c *client.Conn, tag string) error {
	all, err := c.Receive()
	if err != nil {
		return err
	}
	if len(all) != 1 || !strings.HasPrefix(string(all[0].Command), tag) {
		return errors.New("another answer than " + tag)
	}
	return nil
}

// stillThere sends a command on some of the connections.
func stillThere(ctx context.Context, conns []*client.Conn) error {
	for i := 0; i < len(conns); i += max(1, len(conns)/100) {
		c := conns[i]
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := c.Send(&client.Request{Command: smp.PING{}}); err != nil {
			return fmt.Errorf("connection %d was lost: %w", i, err)
		}
		if err := expect(c, "PONG"); err != nil {
			return fmt.Errorf("connection %d was lost: %w", i, err)
		}
	}
	return nil
}

func closeAll(conns []*client.Conn) {
	for _, c := range conns {
		if c != nil {
			_ = c.Session().Abort()
		}
	}
}

// countGoroutines makes the relay list its goroutines, as every Go program does on SIGQUIT before it ends.
func countGoroutines(ctx context.Context, u *load.Relay) (int, error) {
	from := u.Stderr.Len()
	if err := u.Signal(syscall.SIGQUIT); err != nil {
		return 0, err
	}
	if _, err := u.Wait(reportTime); err != nil {
		return 0, err
	}
	n := 0
	for _, line := range u.Stderr.Lines(from, "goroutine ") {
		if strings.HasPrefix(line, "goroutine ") && strings.HasSuffix(line, ":") {
			n++
		}
	}
	return n, ctx.Err()
}
