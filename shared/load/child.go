package load

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// Child is this very program in another role, as a process of its own: something to measure, or a reference.
type Child struct {
	// Line is what it has said: where it is reached.
	Line string

	cmd   *exec.Cmd
	stdin io.Closer
}

// StartChild starts this program with these arguments, and waits for its first line.
func StartChild(ctx context.Context, args ...string) (*Child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &Child{cmd: exec.CommandContext(ctx, self, args...)}
	c.cmd.Stderr = os.Stderr
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, errors.Join(err, c.End())
	}
	c.Line = strings.TrimSpace(line)
	return c, nil
}

// End ends it.
func (c *Child) End() error {
	return errors.Join(c.stdin.Close(), c.cmd.Wait())
}

// BeChild is the child's side: it says where it is reached, and calls stop when its parent ends it, or has gone.
func BeChild(line string, stop func()) {
	fmt.Println(line)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
}
