package server

import (
	"sync/atomic"

	"sotto/shared/count"
	"sotto/shared/xftp"
)

// Outcome is what became of a command, as coarse as an operator needs it.
type Outcome uint8

// Outcomes.
const (
	OutcomeOK       Outcome = iota
	OutcomeAuth             // AUTH: a wrong key, an unknown chunk, or another refusal
	OutcomeQuota            // QUOTA: there is no room
	OutcomeBlocked          // BLOCKED: an operator has blocked the chunk
	OutcomeTimeout          // TIMEOUT: the client was too slow, or there were too many transfers
	OutcomeInternal         // INTERNAL and FILE_IO: storage trouble
	OutcomeError            // any other error
	outcomes
)

// Outcomes are the names of the outcomes, in their order.
var Outcomes = [outcomes]string{"ok", "auth", "quota", "blocked", "timeout", "internal", "error"}

// commandTags is how many commands are told apart; the last place is for what is none.
const commandTags = 8

// Tags are the names of what is counted as commands, in their order. The last is for requests that no command could be
// read from, so nothing that a client writes becomes a name.
var Tags = [commandTags]string{"FNEW", "FADD", "FPUT", "FDEL", "FGET", "FACK", "PING", "none"}

// Counts are what the relay counts since its start: sums over everybody, nothing about a chunk, a client or an address.
// The tags name the metric and tell what it is; a test keeps docs/metrics.md in step.
type Counts[N any] struct {
	Accepted     N `metric:"xftp_connections_accepted_total" help:"Connections accepted."`
	TLSDone      N `metric:"xftp_tls_handshakes_total" help:"TLS handshakes that succeeded."`
	TLSFailed    N `metric:"xftp_tls_handshake_failures_total" help:"TLS handshakes that failed."`
	HelloRefused N `metric:"xftp_hello_failures_total" help:"XFTP handshakes that were refused."`

	Commands [commandTags][outcomes]N `metric:"xftp_commands_total" labels:"command,outcome" help:"Commands by tag and outcome."`

	ChunksCreated   N `metric:"xftp_chunks_created_total" help:"Chunks registered with FNEW."`
	CreatedTooFast  N `metric:"xftp_refused_new_rate_total" help:"FNEW refused because there were more than XFTP_NEW_RATE allows."`
	RecipientsAdded N `metric:"xftp_recipients_added_total" help:"Recipients registered with FNEW and FADD."`
	ChunksUploaded  N `metric:"xftp_chunks_uploaded_total" help:"Chunks whose body was stored."`
	BytesUploaded   N `metric:"xftp_uploaded_bytes_total" help:"Bytes of these."`
	UploadsRepeated N `metric:"xftp_uploads_repeated_total" help:"Uploads of chunks that were there already."`
	Downloads       N `metric:"xftp_downloads_total" help:"Chunks sent to their end."`
	DownloadsBroken N `metric:"xftp_downloads_broken_total" help:"Chunks that were not sent to their end: the client has left, or the store failed."`
	BytesDownloaded N `metric:"xftp_downloaded_bytes_total" help:"Bytes of chunks sent to recipients."`
	Acknowledged    N `metric:"xftp_downloads_acknowledged_total" help:"Recipients that have given up their access with FACK."`
	ChunksDeleted   N `metric:"xftp_chunks_deleted_total" help:"Chunks deleted with FDEL."`
	ChunksExpired   N `metric:"xftp_chunks_expired_total" help:"Chunks removed because of their age."`
}

// Counters count what the relay does. Adding is one atomic instruction and allocates nothing.
type Counters struct{ Counts[atomic.Uint64] }

// Snapshot is what was counted, and how many there are of what comes and goes.
type Snapshot struct {
	Counts[uint64]
	Connections int // now
	Transfers   int // uploads and downloads now
	Usage       Usage
}

// Command counts a command that was answered with err, nil for success. A nil command is none that could be read.
func (c *Counters) Command(cmd xftp.Command, err xftp.Error) {
	c.Commands[tagIndex(cmd)][outcomeOf(err)].Add(1)
}

// Counters returns the relay's counters, to add to.
func (s *Server) Counters() *Counters { return &s.count }

// Snapshot reads all counters.
func (s *Server) Snapshot() Snapshot {
	n := Snapshot{Connections: s.Connections(), Transfers: len(s.places), Usage: s.store.Usage()}
	count.Load(&n.Counts, &s.count.Counts)
	return n
}

func outcomeOf(err xftp.Error) Outcome {
	switch e := err.(type) {
	case nil:
		return OutcomeOK
	case xftp.BlockedError:
		return OutcomeBlocked
	case xftp.ErrorCode:
		switch e {
		case xftp.ErrAuth:
			return OutcomeAuth
		case xftp.ErrQuota:
			return OutcomeQuota
		case xftp.ErrTimeout:
			return OutcomeTimeout
		case xftp.ErrInternal, xftp.ErrFileIO:
			return OutcomeInternal
		}
	}
	return OutcomeError
}

// tagIndex is the place of a command in [Tags].
func tagIndex(cmd xftp.Command) int {
	if cmd == nil {
		return commandTags - 1
	}
	for i, tag := range Tags {
		if tag == cmd.Tag() {
			return i
		}
	}
	return commandTags - 1
}

// handshake counts the end of a TLS handshake.
func (c *Counters) handshake(err error) {
	if err != nil {
		c.TLSFailed.Add(1)
		return
	}
	c.TLSDone.Add(1)
}

// download counts the end of a download.
func (c *Counters) download(whole bool) {
	if whole {
		c.Downloads.Add(1)
		return
	}
	c.DownloadsBroken.Add(1)
}
