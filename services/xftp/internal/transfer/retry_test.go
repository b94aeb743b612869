package transfer

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"sotto/services/xftp/internal/client"
	"sotto/shared/identity"
	"sotto/shared/smp"
	"sotto/shared/xftp"
)

// TestTemporary: what is worth another attempt, and what is not.
//
// Spec: xftp.md 9.3
func TestTemporary(t *testing.T) {
	dial := func(err error) error { return &client.DialError{Stage: client.StageTLS, Err: err} }
	lost := func(err error) error { return &client.ConnError{Err: err} }
	for _, c := range []struct {
		err  error
		want bool
	}{
		{dial(io.EOF), true},
		{dial(client.ErrTimeout), true},
		{lost(io.EOF), true},
		{lost(client.ErrTimeout), true},
		{lost(client.ErrClosed), true},
		{client.ErrSize, true},
		{xftp.ErrTimeout, true},
		{xftp.ErrSession, true},
		{&RelayError{Err: lost(io.EOF)}, true},
		{dial(identity.ErrUnknownCA), false},
		{dial(identity.ErrDates), false},
		{dial(client.ErrVersion), false},
		{dial(client.ErrALPN), false},
		{client.ErrNoHost, false},
		{client.ErrDigest, false},
		{client.ErrTag, false},
		{xftp.ErrAuth, false},
		{xftp.ErrQuota, false},
		{xftp.ErrNoFile, false},
		{xftp.ErrFileIO, false},
		{xftp.CmdSyntax, false},
		{xftp.BlockedError{Reason: smp.ReasonSpam}, false},
		{&client.ResponseError{Tag: "PONG"}, false},
		{local("write", io.ErrShortWrite), false},
		{lost(local("write", io.ErrShortWrite)), false},
		{errors.New("anything"), false},
	} {
		if got := temporary(c.err); got != c.want {
			t.Errorf("%v: got %v", c.err, got)
		}
	}
}

// TestRetryPauses: they grow to a bound, and the last failure is returned without one.
func TestRetryPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fail := &client.ConnError{Err: io.EOF}
		var at []time.Duration
		began := time.Now()
		err := retry(t.Context(), func() int { return 14 }, sleep, func() error {
			at = append(at, time.Since(began))
			return fail
		})
		if err != fail || len(at) != 14 {
			t.Fatalf("%v after %d attempts", err, len(at))
		}
		most := firstPause
		for i := range len(at) - 1 {
			if pause := at[i+1] - at[i]; pause > most || pause < most/2 {
				t.Errorf("pause %d is %v, want up to %v", i, pause, most)
			}
			most = min(most*3/2, mostPause)
		}
		if most != mostPause {
			t.Errorf("the pauses grow to %v only", most)
		}
	})
}

// TestRetryEnds: with success, a failure for good, or the context, also while it waits.
func TestRetryEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		temporary := &client.ConnError{Err: io.EOF}
		for _, errs := range [][]error{{nil}, {temporary, nil}, {xftp.ErrAuth}, {temporary, temporary, xftp.ErrQuota}} {
			n := 0
			err := retry(t.Context(), func() int { return 9 }, sleep, func() error { n++; return errs[n-1] })
			if n != len(errs) || err != errs[n-1] {
				t.Errorf("%v: got %v after %d attempts", errs, err, n)
			}
		}
		ctx, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		began := time.Now()
		err := retry(ctx, func() int { return 1000 }, sleep, func() error { return temporary })
		if took := time.Since(began); took != time.Second || err != context.DeadlineExceeded {
			t.Errorf("%v after %v", err, took)
		}
	})
}

// TestLingering: an answer may come a while after the end, not longer; without an end there is no hurry.
func TestLingering(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		longer, end := lingering(ctx, time.Second)
		time.Sleep(time.Hour)
		stop()
		time.Sleep(time.Second - time.Millisecond)
		if longer.Err() != nil {
			t.Error("it ended too early")
		}
		time.Sleep(2 * time.Millisecond)
		if context.Cause(longer) != context.Canceled {
			t.Error("it does not end")
		}
		end()
		quick, end := lingering(ctx, time.Second)
		end()
		if quick.Err() == nil {
			t.Error("it does not end")
		}
	})
}

// TestParallel: all is done, no more than width at a time, and the first error ends the rest.
func TestParallel(t *testing.T) {
	var seen []int
	if err := parallel(t.Context(), 10, 1, func(_ context.Context, i int) error { seen = append(seen, i); return nil }); err != nil {
		t.Error(err)
	}
	if want := []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}; !slices.Equal(seen, want) {
		t.Errorf("got %v", seen)
	}
	failure := errors.New("failure")
	err := parallel(t.Context(), 1000, 4, func(ctx context.Context, i int) error {
		if i == 5 {
			return failure
		}
		if i > 5 {
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	})
	if err != failure {
		t.Errorf("got %v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := parallel(ctx, 3, 2, func(context.Context, int) error { return nil }); err != context.Canceled {
		t.Errorf("got %v", err)
	}
}
