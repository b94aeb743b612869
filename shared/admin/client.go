package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"syscall"
	"time"
)

// Call has the relay that listens at this path do a command, and returns its answer.
func Call(ctx context.Context, path, command string, in any) (json.RawMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, readTime+workTime+time.Second)
	defer cancel()
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		},
	}}
	request, err := newRequest(ctx, command, in)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, unreached(path, err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil || len(body) > maxAnswer {
		return nil, fmt.Errorf("the answer that comes from %s cannot be read", path)
	}
	return body, failed(path, response.StatusCode, body)
}

func newRequest(ctx context.Context, command string, in any) (*http.Request, error) {
	url := "http://relay" + prefix + command
	if in == nil {
		return http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	}
	body, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	return http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
}

// unreached tells why the relay could not be asked.
func unreached(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w, or has its socket elsewhere: there is none at %s", ErrNotRunning, path)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w: nobody answers at %s", ErrNotRunning, path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("only the relay's own user may open %s: run this command as that user", path)
	case errors.Is(err, syscall.EINVAL):
		return fmt.Errorf("%s cannot be a socket: %w", path, ErrPath)
	case errors.Is(err, context.Canceled):
		return errors.New("interrupted")
	}
	return fmt.Errorf("the relay at %s does not answer", path)
}

// failed is the error that an answer tells.
func failed(path string, status int, body []byte) error {
	if status == http.StatusOK && json.Valid(body) {
		return nil
	}
	var f failure
	switch err := json.Unmarshal(body, &f); {
	case err != nil || f.Error == "":
		return fmt.Errorf("what listens at %s is no relay", path)
	case f.NotFound:
		return ErrNotFound
	}
	return errors.New(f.Error)
}
