package e2e

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"sotto/services/xftp/internal/client"
	"sotto/shared/relay"
)

// TestMetricsFollowAChunk uploads, downloads, acknowledges and deletes a chunk, and looks for that in the relay's metrics.
func TestMetricsFollowAChunk(t *testing.T) {
	port, err := relay.FreePort()
	must(t, "find a port", err)
	r := startRelay(t, "XFTP_METRICS_LISTEN=127.0.0.1:"+port, "XFTP_METRICS_NAMES=simplex")
	ctx := bounded(t)
	c := dial(t, r, client.Options{})
	u := upload(ctx, t, c, 64<<10)
	must(t, "download", u.download(ctx, c))
	must(t, "acknowledge", c.Acknowledge(ctx, u.recipientID, u.recipient))
	must(t, "delete", c.Delete(ctx, u.senderID, u.sender))
	shown := scrape(ctx, t, "http://127.0.0.1:"+port+"/metrics")
	for !strings.Contains(shown, "\nsotto_xftp_downloads_total 1\n") && ctx.Err() == nil { // counted after it was sent
		shown = scrape(ctx, t, "http://127.0.0.1:"+port+"/metrics")
	}
	for _, line := range []string{
		"sotto_xftp_ready 1",
		"sotto_xftp_chunks_created_total 1",
		"sotto_xftp_recipients_added_total 1",
		"sotto_xftp_chunks_uploaded_total 1",
		"sotto_xftp_uploaded_bytes_total 65536",
		"sotto_xftp_downloads_total 1",
		"sotto_xftp_downloaded_bytes_total 65536",
		"sotto_xftp_downloads_acknowledged_total 1",
		"sotto_xftp_chunks_deleted_total 1",
		`sotto_xftp_commands_total{command="FPUT",outcome="ok"} 1`,
		"simplex_xftp_files_uploaded 1",
	} {
		if !strings.Contains("\n"+shown, "\n"+line+"\n") {
			t.Errorf("the metrics do not say %s", line)
		}
	}
}

// scrape reads what the relay shows.
func scrape(ctx context.Context, t *testing.T, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	must(t, "make a request", err)
	resp, err := http.DefaultClient.Do(req)
	must(t, "ask for the metrics", err)
	defer resp.Body.Close()
	shown, err := io.ReadAll(resp.Body)
	must(t, "read the metrics", err)
	return string(shown)
}
