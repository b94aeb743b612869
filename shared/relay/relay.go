// Package relay runs a relay's real binary as a process of its own, on the loopback interface and with nothing of the
// caller's environment, for the end-to-end tests and the load benchmarks of both kinds of relay.
package relay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"sotto/shared/address"
)

// Build compiles the relay of this scheme into dir and returns the path of the binary.
func Build(ctx context.Context, scheme address.Scheme, dir string) (string, error) {
	binary := filepath.Join(dir, name(scheme))
	out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, "sotto/services/"+name(scheme)).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build the relay: %w\n%s", err, out)
	}
	return binary, nil
}

// name is that of the service and its binary.
func name(scheme address.Scheme) string { return strings.TrimSuffix(scheme.String(), "://") }

// Prefix is that of the settings of this scheme's relay.
func Prefix(scheme address.Scheme) string { return strings.ToUpper(name(scheme)) + "_" }

// Environment returns an environment for a binary with these settings, written SMP_NAME=value, and no others.
func Environment(settings ...string) []string {
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "LC_ALL=C", "TZ=UTC"}
	return append(env, settings...)
}

// FreePort returns a TCP port of the loopback interface that nobody listens on.
func FreePort() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer ln.Close()
	_, port, err := net.SplitHostPort(ln.Addr().String())
	return port, err
}

// Relay is a relay that runs, or can be started again, always with the same settings, port and identity.
type Relay struct {
	Scheme address.Scheme
	Binary string
	Env    []string
	Port   string
	// Stdout and Stderr have everything that all its processes have printed.
	Stdout, Stderr Output

	mu      sync.Mutex
	cmd     *exec.Cmd
	exited  chan struct{} // closed when cmd has ended
	address string
}

// New returns a relay that is yet to be started, on a free port, with its identity in dataDir. settings, written
// SMP_NAME=value, come after its own and win.
func New(scheme address.Scheme, binary, dataDir, databaseURL string, settings ...string) (*Relay, error) {
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	p := Prefix(scheme)
	own := []string{
		p + "LISTEN=127.0.0.1:" + port,
		p + "HOST=127.0.0.1",
		p + "DATA_DIR=" + dataDir,
		p + "DATABASE_URL=" + databaseURL,
		p + "LOG_LEVEL=debug",
	}
	return &Relay{Scheme: scheme, Binary: binary, Env: Environment(append(own, settings...)...), Port: port}, nil
}

// ErrExited: the process ended before it was ready.
var ErrExited = errors.New("the relay ended before it was ready")

// banner is what the relay prints before its address, last of all, when it is ready.
const banner = "  address      "

// Start runs the relay and waits until it has told its address, which is when it serves.
func (r *Relay) Start(ctx context.Context) error {
	cmd := exec.Command(r.Binary)
	cmd.Env = r.Env
	cmd.Stdout, cmd.Stderr = &r.Stdout, &r.Stderr
	from := r.Stdout.Len()
	if err := cmd.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	r.mu.Lock()
	r.cmd, r.exited = cmd, exited
	r.mu.Unlock()
	go func() {
		_ = cmd.Wait() // its state tells
		close(exited)
	}()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-exited:
			cancel()
		case <-ctx.Done():
		}
	}()
	line, err := r.Stdout.WaitLine(ctx, from, banner)
	if err != nil {
		select {
		case <-exited:
			return fmt.Errorf("%w:\n%s%s", ErrExited, r.Stdout.String(), r.Stderr.String())
		default:
			return fmt.Errorf("wait for the relay: %w", err)
		}
	}
	r.mu.Lock()
	r.address = strings.TrimPrefix(line, banner)
	r.mu.Unlock()
	return nil
}

// Server returns the relay's address as it was printed, without the password, for clients.
func (r *Relay) Server() (address.Server, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return address.Parse(r.Scheme, r.address)
}

// Pid returns the process id of the process that was started last.
func (r *Relay) Pid() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cmd.Process.Pid
}

// Running reports whether the process that was started last has not ended.
func (r *Relay) Running() bool {
	r.mu.Lock()
	exited := r.exited
	r.mu.Unlock()
	if exited == nil {
		return false
	}
	select {
	case <-exited:
		return false
	default:
		return true
	}
}

// Signal sends a signal to the process.
func (r *Relay) Signal(s syscall.Signal) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cmd.Process.Signal(s)
}

// ErrStillRuns: the process has not ended in the given time.
var ErrStillRuns = errors.New("the relay still runs")

// Wait waits until the process has ended, and returns its exit code: -1 if a signal ended it.
func (r *Relay) Wait(timeout time.Duration) (int, error) {
	r.mu.Lock()
	cmd, exited := r.cmd, r.exited
	r.mu.Unlock()
	select {
	case <-exited:
		return cmd.ProcessState.ExitCode(), nil
	case <-time.After(timeout):
		return 0, ErrStillRuns
	}
}

// killTime is how long the kernel may take to end a killed process.
const killTime = 30 * time.Second

// Kill ends the process at once, if it runs, as a crash of the machine would.
func (r *Relay) Kill() error {
	if !r.Running() {
		return nil
	}
	if err := r.Signal(syscall.SIGKILL); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	_, err := r.Wait(killTime)
	return err
}

// Stop asks the process to end, if it runs, and returns its exit code.
func (r *Relay) Stop(timeout time.Duration) (int, error) {
	if err := r.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return 0, err
	}
	return r.Wait(timeout)
}
