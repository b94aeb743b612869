package e2e

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"sotto/services/xftp/internal/client"
	"sotto/shared/pg/pgtest"
	"sotto/shared/settings"
)

// put is upload, which tells when it is half done.
func (tr *traffic) put(ctx context.Context, c *client.Client, u *uploaded) error {
	body := &countingReader{Reader: bytes.NewReader(u.body), c: tr.newCounter()}
	return c.Upload(ctx, u.senderID, u.sender, body, uint32(tr.size))
}

// get is download, which tells when it is half done.
func (tr *traffic) get(ctx context.Context, c *client.Client, u *uploaded) error {
	var got bytes.Buffer
	w := &countingWriter{Writer: &got, c: tr.newCounter()}
	if err := c.Download(ctx, u.recipientID, u.recipient, uint32(tr.size), u.digest[:], w); err != nil {
		return err
	}
	if !bytes.Equal(got.Bytes(), u.body) {
		return errOtherBytes
	}
	return nil
}

// TestRelayIsKilled kills the relay in the middle of transfers. What it confirmed is there afterwards, and of what it did
// not confirm nothing takes room.
func TestRelayIsKilled(t *testing.T) {
	r := startRelay(t)
	tr := &traffic{t: t, r: r, size: 1 << 20}
	tr.disturb(bounded(t), 4, 6, func(int) {
		must(t, "kill", r.Kill())
		start(t, r)
	})
	_, err := r.Stop(stopTime)
	must(t, "stop", err)
	from := r.Stdout.Len()
	start(t, r)
	used := settings.Size(len(tr.chunks)*tr.size).String() + " used"
	if len(r.Stdout.Lines(from, used)) != 1 {
		t.Errorf("it does not say %q:\n%s", used, r.Stdout.String()[from:])
	}
}

// What the relay says when its database goes and comes back.
const (
	saysGone = "database is away"
	saysBack = "database is back"
)

// TestDatabaseIsKilled kills Postgres in the middle of transfers.
func TestDatabaseIsKilled(t *testing.T) {
	relayBinary(t)
	pg := pgtest.NewCluster(t)
	r := newRelay(t, pg.Start(t))
	start(t, r)
	outages := []struct {
		name string
		end  func(testing.TB)
	}{{"kill", pg.Kill}, {"crash", pg.Crash}, {"stop", pg.Stop}, {"kill", pg.Kill}}
	tr := &traffic{t: t, r: r, size: 1 << 20}
	tr.disturb(bounded(t), 4, len(outages), func(i int) {
		outages[i].end(t)
		pg.Start(t)
	})
	if gone, back := r.Stderr.Count(saysGone), r.Stderr.Count(saysBack); gone > len(outages) || back != gone {
		t.Errorf("the relay said %q %d times and %q %d times, for %d outages", saysGone, gone, saysBack, back, len(outages))
	}
	if n := r.Stderr.Count("\n"); n > 20*len(outages) {
		t.Errorf("the relay wrote %d lines to its log", n)
	}
}

// TestDatabaseDisconnects ends all of the relay's connections to Postgres again and again.
func TestDatabaseDisconnects(t *testing.T) {
	url := newDatabase(t)
	r := newRelay(t, url)
	start(t, r)
	tr := &traffic{t: t, r: r, size: 1 << 20}
	tr.disturb(bounded(t), 4, 8, func(int) {
		n := pgtest.Int(t, url, `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
			WHERE datname = current_database() AND pid <> pg_backend_pid()`)
		if n == 0 {
			t.Error("the relay had no connection to the database")
		}
	})
}

// TestStopsInMidTransfer asks the relay to end while there are transfers: it does, in time and with success.
func TestStopsInMidTransfer(t *testing.T) {
	r := startRelay(t)
	tr := &traffic{t: t, r: r, size: 4 << 20}
	tr.disturb(bounded(t), 3, 3, func(int) {
		code, err := r.Stop(stopTime)
		must(t, "stop", err)
		if code != exitOK {
			t.Errorf("exit code %d", code)
		}
		start(t, r)
	})
}

// TestSecondRelayOnOneDatabase: it is refused, and the first goes on.
func TestSecondRelayOnOneDatabase(t *testing.T) {
	url := newDatabase(t)
	first := newRelay(t, url)
	start(t, first)
	second := command(t, []string{"XFTP_DATABASE_URL=" + url, "XFTP_LISTEN=127.0.0.1:0", "XFTP_DATA_DIR=" + t.TempDir()}, "serve")
	second.expect(t, exitError, "another relay process uses this database")
	upload(bounded(t), t, dial(t, first, client.Options{}), 64<<10)
}

// TestQuotaSurvives fills a relay, restarts it, and finds it as full as it was.
func TestQuotaSurvives(t *testing.T) {
	ctx := bounded(t)
	r := startRelay(t, "XFTP_STORAGE_QUOTA=2mb", "XFTP_CHUNK_SIZES=64kb,1mb")
	c := dial(t, r, client.Options{})
	first := upload(ctx, t, c, 1<<20)
	upload(ctx, t, c, 1<<20)
	third := newChunk(1 << 20)
	must(t, "register", third.register(ctx, c))
	for range 2 {
		if err := third.upload(ctx, c); err == nil || !strings.Contains(err.Error(), "QUOTA") {
			t.Fatalf("a third chunk gives %v, want QUOTA", err)
		}
		must(t, "kill", r.Kill())
		start(t, r)
		c = dial(t, r, client.Options{})
	}
	must(t, "delete", c.Delete(ctx, first.senderID, first.sender))
	must(t, "upload", third.upload(ctx, c))
	must(t, "download", third.download(ctx, c))
	if err := first.download(ctx, c); fmt.Sprint(err) != "AUTH" {
		t.Errorf("a deleted chunk gives %v, want AUTH", err)
	}
}
