package transport

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

func TestFeed(t *testing.T) {
	f := NewFeed(nil)
	ours, theirs := net.Pipe()
	defer theirs.Close()
	var wg sync.WaitGroup
	wg.Go(func() {
		if !f.Give(ours) {
			t.Error("not accepted")
		}
	})
	if got, err := f.Accept(); err != nil || got != ours {
		t.Fatalf("%v, %v", got, err)
	}
	wg.Wait()
	wg.Go(func() {
		if f.Give(ours) {
			t.Error("accepted after Close")
		}
	})
	f.Close()
	f.Close()
	wg.Wait()
	if _, err := f.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestReplay(t *testing.T) {
	client, server := tcpPair(t)
	if _, err := io.WriteString(client, "rest"); err != nil {
		t.Fatal(err)
	}
	if err := CloseWrite(client); err != nil {
		t.Fatal(err)
	}
	head := []byte("beginning and ")
	r := NewReplay(server, head)
	clear(head)
	got, err := io.ReadAll(r)
	if err != nil || string(got) != "beginning and rest" {
		t.Errorf("%q, %v", got, err)
	}
	r = NewReplay(server, []byte("beginning"))
	if rest := r.Rest(); string(rest) != "beginning" {
		t.Errorf("the rest is %q", rest)
	}
	if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("the beginning is read twice: %d, %v", n, err)
	}
}

func TestListenBehindProxy(t *testing.T) {
	ln, err := ListenBehindProxy(t.Context(), "127.0.0.1:0", Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	for _, c := range []struct {
		header string
		ok     bool
	}{
		{"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", true},
		{"PROXY UNKNOWN\r\n", true},
		{"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00", true},
		{"", false},
		{"GET / HTTP/1.1\r\n", false},
	} {
		conn, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, c.header+"what follows"); err != nil {
			t.Fatal(err)
		}
		accepted, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if err := CloseWrite(conn); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(accepted)
		if c.ok != (err == nil && bytes.Equal(got, []byte("what follows"))) {
			t.Errorf("after %q: %q, %v", c.header, got, err)
		}
		if c.ok {
			if err := CloseWrite(accepted); err != nil {
				t.Errorf("after %q: %v", c.header, err)
			}
		}
		if err != nil && strings.Contains(Safe(err), "127.0.0.1") {
			t.Errorf("an address in %q", Safe(err))
		}
		accepted.Close()
		conn.Close()
	}
}
