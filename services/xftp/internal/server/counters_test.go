package server

import (
	"errors"
	"testing"

	"sotto/shared/smp"
	"sotto/shared/xftp"
)

func TestCountersKnowEveryCommand(t *testing.T) {
	var counters Counters
	for i, cmd := range []xftp.Command{xftp.FNEW{}, xftp.FADD{}, xftp.FPUT{}, xftp.FDEL{}, xftp.FGET{}, xftp.FACK{}, xftp.PING{}} {
		counters.Command(cmd, nil)
		if Tags[i] != cmd.Tag() || counters.Commands[i][OutcomeOK].Load() != 1 {
			t.Errorf("%s is not counted under its name", cmd.Tag())
		}
	}
	counters.Command(nil, xftp.ErrBlock)
	if n := counters.Commands[commandTags-1][OutcomeError].Load(); n != 1 {
		t.Errorf("what is no command was counted %d times", n)
	}
}

func TestOutcomesOfErrors(t *testing.T) {
	for want, err := range map[Outcome]xftp.Error{
		OutcomeOK: nil, OutcomeAuth: xftp.ErrAuth, OutcomeQuota: xftp.ErrQuota, OutcomeTimeout: xftp.ErrTimeout,
		OutcomeInternal: xftp.ErrFileIO, OutcomeError: xftp.ErrDigest,
		OutcomeBlocked: xftp.BlockedError{Reason: smp.ReasonSpam},
	} {
		if got := outcomeOf(err); got != want {
			t.Errorf("%v is %s, want %s", err, Outcomes[got], Outcomes[want])
		}
	}
}

func TestCountersOfHandshakesAndDownloads(t *testing.T) {
	var counters Counters
	counters.handshake(nil)
	counters.handshake(errors.New("refused"))
	counters.download(true)
	counters.download(false)
	for name, n := range map[string]uint64{
		"done": counters.TLSDone.Load(), "failed": counters.TLSFailed.Load(),
		"whole": counters.Downloads.Load(), "broken": counters.DownloadsBroken.Load(),
	} {
		if n != 1 {
			t.Errorf("%s: %d, want 1", name, n)
		}
	}
}

func TestCountingAllocatesNothing(t *testing.T) {
	var counters Counters
	var cmd xftp.Command = xftp.PING{}
	if n := testing.AllocsPerRun(100, func() { counters.Command(cmd, xftp.ErrAuth) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
