package transport

import (
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"sotto/shared/wire"
)

// TestIdleHoldsNothing checks that a reader takes memory with the first byte of a block, not before.
func TestIdleHoldsNothing(t *testing.T) {
	for _, encrypted := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			a, b := net.Pipe()
			relay := NewBlockConn(a)
			block := make([]byte, wire.BlockSize)
			if encrypted {
				send, recv, clientSend, _ := chains(ascending(1, 32), ascending(2, 32))
				relay.Encrypt(send, recv)
				if err := clientSend.Seal(block, []byte("payload")); err != nil {
					t.Fatal(err)
				}
			} else if err := wire.Pad(block, []byte("payload")); err != nil {
				t.Fatal(err)
			}
			var room Block
			done := make(chan error)
			go func() {
				payload, err := relay.ReadBlock(&room)
				if string(payload) != "payload" {
					err = errors.Join(err, errors.New("another payload"))
				}
				done <- err
			}()
			synctest.Wait()
			if room.held != nil {
				t.Error("holds memory while idle")
			}
			b.Write(block[:1])
			synctest.Wait()
			if room.held == nil {
				t.Error("has no memory for a block that began")
			}
			b.Write(block[1:])
			if err := <-done; err != nil {
				t.Error(err)
			}
			room.Release()
			room.Release()
			if room.held != nil {
				t.Error("not released")
			}
			a.Close()
			b.Close()
		})
	}
}

func TestBlockDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		defer b.Close()
		c := NewBlockConn(a)
		defer c.Close()
		start := time.Now()
		if err := errors.Join(c.SetReadDeadline(start.Add(time.Minute)), c.SetWriteDeadline(start.Add(time.Hour))); err != nil {
			t.Fatal(err)
		}
		var room Block
		if _, err := c.ReadBlock(&room); Safe(err) != "timeout" || time.Since(start) != time.Minute {
			t.Errorf("read: %v after %v", Safe(err), time.Since(start))
		}
		if err := c.WriteBlock(nil); Safe(err) != "timeout" || time.Since(start) != time.Hour {
			t.Errorf("write: %v after %v", Safe(err), time.Since(start))
		}
	})
}

// TestPatience has a peer that stops within a block, with and without deadlines of the caller's.
func TestPatience(t *testing.T) {
	const patience = time.Minute
	block := make([]byte, wire.BlockSize)
	if err := wire.Pad(block, []byte("payload")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name     string
		deadline time.Duration // of the caller, 0 for none
		send     int           // bytes, after an hour
		want     time.Duration
	}{
		{"stops within a block", 0, 100, time.Hour + patience},
		{"stops after the first byte", 2 * time.Hour, 1, time.Hour + patience},
		{"deadline comes first", time.Hour + time.Second, 100, time.Hour + time.Second},
		{"nothing but the deadline", 2 * time.Hour, 0, 2 * time.Hour},
		{"deadline after a whole block", 2 * time.Hour, wire.BlockSize, 2 * time.Hour},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := net.Pipe()
				defer a.Close()
				defer b.Close()
				relay := NewBlockConn(a)
				relay.SetPatience(patience)
				start := time.Now()
				if c.deadline > 0 {
					if err := relay.SetReadDeadline(start.Add(c.deadline)); err != nil {
						t.Fatal(err)
					}
				}
				timer := time.AfterFunc(time.Hour, func() { b.Write(block[:c.send]) })
				defer timer.Stop()
				var room Block
				defer room.Release()
				_, err := relay.ReadBlock(&room)
				if c.send == wire.BlockSize {
					if err != nil {
						t.Fatal(err)
					}
					_, err = relay.ReadBlock(&room)
				}
				if Safe(err) != "timeout" || time.Since(start) != c.want {
					t.Errorf("%v after %v", Safe(err), time.Since(start))
				}
			})
		})
	}
	// One that is set while a block is read ends reading after it, or within it.
	t.Run("ended within a block", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a, b := net.Pipe()
			defer a.Close()
			defer b.Close()
			relay := NewBlockConn(a)
			relay.SetPatience(patience)
			start := time.Now()
			failed := make(chan error)
			go func() {
				var room Block
				defer room.Release()
				_, err := relay.ReadBlock(&room)
				failed <- err
			}()
			b.Write(block[:100])
			synctest.Wait()
			if err := relay.SetReadDeadline(start); err != nil {
				t.Error(err)
			}
			if err := <-failed; Safe(err) != "timeout" || time.Since(start) != 0 {
				t.Errorf("%v after %v", Safe(err), time.Since(start))
			}
			var room Block
			if _, err := relay.ReadBlock(&room); Safe(err) != "timeout" || time.Since(start) != 0 {
				t.Errorf("afterwards: %v after %v", Safe(err), time.Since(start))
			}
		})
	})
}
