package transport

import (
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sotto/shared/wire"
)

// tap is a connection that can be told to let no more than some bytes through.
type tap struct {
	net.Conn
	limited atomic.Bool
	left    atomic.Int64
}

func (c *tap) Write(p []byte) (int, error) {
	if !c.limited.Load() {
		return c.Conn.Write(p)
	}
	n := min(int64(len(p)), c.left.Load())
	c.left.Add(-n)
	if _, err := c.Conn.Write(p[:n]); err != nil {
		return 0, err
	}
	return len(p), nil
}

// TestPatienceWithRecords has a client whose record stops within: there is a buffer for it, as for a block.
func TestPatienceWithRecords(t *testing.T) {
	const patience = time.Minute
	id := newIdentity(t)
	for _, tc := range []struct {
		name string
		let  int64 // bytes of two records
		want time.Duration
	}{
		{"nothing", 0, 3 * time.Hour}, // the deadline of the caller
		{"half a header", 3, 3 * time.Hour},
		{"a header", recordHeader, time.Hour + patience},
		{"half a record", blockRecord / 2, time.Hour + patience},
		{"a record", blockRecord, 3 * time.Hour},
		{"a record and a half", blockRecord + 10, time.Hour + patience},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				clientRaw, serverRaw := net.Pipe()
				defer clientRaw.Close()
				defer serverRaw.Close()
				limited := &tap{Conn: clientRaw}
				c, s := runBoth(t, limited, serverRaw, connect(ClientConfig{
					Fingerprint: id.Fingerprint(), Now: func() time.Time { return id.Expires().AddDate(-1, 0, 0) },
				}), NewMessageTLS(id, true).Handshake)
				if c.err != nil || s.err != nil {
					t.Fatal(c.err, s.err)
				}
				blocks, start := NewBlockConn(s.session.Conn), time.Now()
				blocks.SetPatience(patience)
				if err := blocks.SetReadDeadline(start.Add(3 * time.Hour)); err != nil {
					t.Fatal(err)
				}
				limited.left.Store(tc.let)
				limited.limited.Store(true)
				timer := time.AfterFunc(time.Hour, func() { c.session.Conn.Write(make([]byte, 2*wire.BlockSize)) })
				defer timer.Stop()
				var room Block
				defer room.Release()
				_, err := blocks.ReadBlock(&room)
				if err == nil {
					_, err = blocks.ReadBlock(&room)
				}
				if Safe(err) != "timeout" || time.Since(start) != tc.want {
					t.Errorf("%v after %v", Safe(err), time.Since(start))
				}
			})
		})
	}
}
