package server_test

import (
	"bytes"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"sotto/services/xftp/internal/client"
	"sotto/services/xftp/internal/server"
	"sotto/services/xftp/internal/xftptest"
	"sotto/shared/xftp"
)

// TestTransfersWaitForTheirTurn holds the only place there is with an upload that stands still.
func TestTransfersWaitForTheirTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := xftptest.Start(t, xftptest.Options{Pipes: true, Config: func(c *server.Config) {
			c.MaxTransfers = 1
			c.StallTimeout, c.UploadTimeout = time.Hour, time.Hour
		}})
		patient := client.Options{RequestTimeout: time.Hour, StallTimeout: time.Hour, TransferTimeout: time.Hour}
		f := upload(t, r.Connect(t, patient), size)
		slow := r.Connect(t, patient)
		held := register(t, slow, size)
		body, w := io.Pipe()
		uploaded := make(chan error, 1)
		go func() { uploaded <- slow.Upload(t.Context(), held.senderID, held.sender, body, size) }()
		must(t, write(w, held.body[:1000]))
		synctest.Wait()

		began := time.Now()
		refused(t, f.get(t.Context(), r.Connect(t, patient)), xftp.ErrTimeout)
		other := r.Connect(t, patient)
		refused(t, register(t, other, size).put(t.Context(), other), xftp.ErrTimeout)
		if waited := time.Since(began); waited != 2*20*time.Second {
			t.Errorf("two transfers were refused after %v", waited)
		}

		downloaded := make(chan error, 1)
		go func() { downloaded <- f.get(t.Context(), r.Connect(t, patient)) }()
		synctest.Wait()
		must(t, write(w, held.body[1000:]))
		must(t, <-uploaded)
		must(t, <-downloaded)
	})
}

func write(w io.Writer, p []byte) error {
	_, err := io.Copy(w, bytes.NewReader(p))
	return err
}
