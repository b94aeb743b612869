package server_test

import (
	"testing"
	"testing/synctest"
	"time"

	"sotto/services/xftp/internal/client"
	"sotto/services/xftp/internal/server"
	"sotto/services/xftp/internal/xftptest"
	"sotto/shared/auth"
	"sotto/shared/key"
	"sotto/shared/xftp"
)

// registerOne registers a chunk of the usual size.
func registerOne(t testing.TB, c *client.Client) error {
	t.Helper()
	_, digest := content(size)
	_, _, err := c.Create(t.Context(), auth.NewEd25519(), size, digest, []key.Public{auth.NewEd25519().Public()})
	return err
}

// TestNewRate registers chunks faster than a connection may: first at once, then held up, then refused for now.
//
// Spec: xftp.md 9.3
func TestNewRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := xftptest.Start(t, xftptest.Options{Pipes: true, Config: func(c *server.Config) { c.NewRate = 48 }})
		c := r.Connect(t, client.Options{})
		begun := time.Now()
		for range 120 { // 12 per minute for a connection, saved for ten minutes
			must(t, registerOne(t, c))
		}
		if passed := time.Since(begun); passed != 0 {
			t.Errorf("held up for %v", passed)
		}
		must(t, registerOne(t, c))
		if passed := time.Since(begun); passed != 5*time.Second {
			t.Errorf("held up for %v", passed)
		}
		must(t, registerOne(t, r.Connect(t, client.Options{})))
	})
}

// TestNewRateAtOnce has requests that wait at the same time.
func TestNewRateAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := xftptest.Start(t, xftptest.Options{Pipes: true, Config: func(c *server.Config) { c.NewRate = 48 }})
		p := native(t, r)
		const enough, more = 120, 3
		answers := make(chan string, enough+more)
		for range enough {
			p.create(size)
		}
		for range more {
			go func() { answers <- wireText(p.tryCreate()) }()
		}
		got := make(map[string]int)
		for range more {
			got[<-answers]++
		}
		if got["ERR TIMEOUT"] != more-1 {
			t.Errorf("the answers are %v", got)
		}
		p.create(size) // the connection goes on
		if n := r.Server.Snapshot().CreatedTooFast; n != more-1 {
			t.Errorf("%d are counted", n)
		}
	})
}

// tryCreate registers a chunk, and returns the answer.
func (p *peer) tryCreate() xftp.Response {
	k, recipient := auth.NewEd25519(), auth.NewEd25519()
	_, digest := content(size)
	return p.do(k, nil, xftp.FNEW{
		File:       xftp.FileInfo{SenderKey: k.Public(), Size: size, Digest: digest},
		Recipients: []key.Public{recipient.Public()},
	}, nil)
}
