package server_test

import (
	"bytes"
	"testing"

	"sotto/services/xftp/internal/probe"
	"sotto/services/xftp/internal/xftptest"
)

func TestProbe(t *testing.T) {
	r := xftptest.Start(t, xftptest.Options{})
	var out bytes.Buffer
	if err := probe.Run(t.Context(), r.Address().String(), &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	t.Log(out.String())
}
