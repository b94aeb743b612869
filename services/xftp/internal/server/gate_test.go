package server_test

import (
	"bytes"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"

	"sotto/services/xftp/internal/server"
)

// traffic is a client's stream with n bytes of bodies among other frames.
func traffic(t testing.TB, n int) []byte {
	t.Helper()
	var b bytes.Buffer
	b.WriteString(http2.ClientPreface)
	f := http2.NewFramer(&b, nil)
	must(t, f.WriteSettings())
	must(t, f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte("0123456789"), EndHeaders: true}))
	for n > 0 {
		part := min(n, 16384)
		must(t, f.WriteData(1, false, make([]byte, part)))
		must(t, f.WriteWindowUpdate(0, 100))
		n -= part
	}
	must(t, f.WriteData(1, true, nil))
	return b.Bytes()
}

func TestFramesOfBodies(t *testing.T) {
	const n = 100_000
	b := traffic(t, n)
	for _, piece := range []int{1, 2, 7, 9, 24, 1000, len(b)} {
		if got := server.Data(b, piece); got != n {
			t.Errorf("in pieces of %d: %d bytes of bodies", piece, got)
		}
	}
}

func FuzzFramesOfBodies(f *testing.F) {
	f.Add(traffic(f, 50), 10)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		n = max(n, 1)
		if whole, parts := server.Data(b, len(b)+1), server.Data(b, n); whole != parts || whole > len(b) {
			t.Errorf("%d at once, %d in pieces", whole, parts)
		}
	})
}

// pump reads the gate to its end.
func pump(g *server.Gate) <-chan int64 {
	done := make(chan int64, 1)
	go func() {
		n, _ := io.Copy(io.Discard, onlyReader{g})
		done <- n
	}()
	return done
}

type onlyReader struct{ io.Reader }

func TestGate(t *testing.T) {
	t.Run("stops until the handler takes something", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			const n = 2 << 20
			g, ahead := server.NewGate(bytes.NewReader(traffic(t, n)), 1<<40)
			g.Begin()
			done := pump(g)
			for taken := 0; taken < n; {
				synctest.Wait()
				if a := ahead(); a > server.FirstAhead+32<<10 || a == 0 {
					t.Fatalf("%d bytes ahead after %d", a, taken)
				}
				g.BeginRead()
				part := min(server.PieceSize, n-taken)
				g.EndRead(part)
				taken += part
			}
			g.End()
			<-done
		})
	})
	t.Run("has less when all together have too much", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g, ahead := server.NewGate(bytes.NewReader(traffic(t, 1<<20)), 1)
			g.Begin()
			done := pump(g)
			synctest.Wait()
			if a := ahead(); a > server.LeastAhead+32<<10 {
				t.Errorf("%d bytes ahead", a)
			}
			_ = g.Close()
			<-done
			if ahead() != 0 {
				t.Error("a closed gate counts")
			}
		})
	})
	t.Run("a wrong count heals", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g, _ := server.NewGate(bytes.NewReader(traffic(t, 1<<20)), 1<<40)
			g.Begin()
			g.BeginRead() // waits for what never comes, as if the bytes were nobody's
			began := time.Now()
			<-pump(g)
			if waited := time.Since(began); waited > 10*time.Second {
				t.Errorf("it took %v", waited)
			}
		})
	})
	t.Run("waits for the store, however long", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g, _ := server.NewGate(bytes.NewReader(traffic(t, 1<<20)), 1<<40)
			g.Begin()
			done := pump(g)
			time.Sleep(time.Hour)
			select {
			case <-done:
				t.Error("it did not")
			default:
			}
			g.End()
			time.Sleep(time.Minute)
			<-done
		})
	})
}
