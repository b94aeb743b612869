package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Cluster is a Postgres server that a test may stop.
type Cluster struct{ dir, script string }

const (
	// clusterScript makes private clusters, for `make run` too. It lies in a directory above the tests'.
	clusterScript = "docker/postgres/local.sh"
	// clusterTime bounds starting or stopping a cluster.
	clusterTime = 2 * time.Minute
	// endTime is how long the processes of a crashed one may take to end.
	endTime = 30 * time.Second
)

// NewCluster makes a place for a cluster, which ends with the test. Where there can be none the test is skipped, or fails
// when the variable CI is set.
func NewCluster(t testing.TB) *Cluster {
	t.Helper()
	script, err := findScript()
	if err != nil {
		cannot(t, err)
	}
	dir, err := os.MkdirTemp("", "sotto-pg-")
	if err == nil {
		err = os.Chmod(dir, 0o711) // Postgres does not run as root, and must reach what is in it
	}
	if err != nil {
		t.Fatal(err)
	}
	c := &Cluster{dir: filepath.Join(dir, "pg"), script: script}
	t.Cleanup(func() {
		c.Stop(t)
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("remove the cluster: %v", err)
		}
	})
	return c
}

// cannot ends a test that has no cluster.
func cannot(t testing.TB, err error) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("no Postgres of the test's own, and CI runs every test: %v", err)
	}
	t.Skipf("no Postgres of the test's own: %v", err)
}

func findScript() (string, error) {
	if _, err := exec.LookPath("bash"); err != nil {
		return "", err
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		path := filepath.Join(dir, clusterScript)
		if _, err := os.Stat(path); err == nil || dir == filepath.Dir(dir) {
			return path, err
		}
	}
}

func (c *Cluster) run(t testing.TB, command string) (string, error) {
	t.Helper()
	// The test's context has ended when it cleans up.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), clusterTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", c.script, command, c.dir)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", command, err, stderr.String())
	}
	return strings.TrimSpace(stdout.String()), nil
}

// Start starts the cluster and returns its URL.
func (c *Cluster) Start(t testing.TB) string {
	t.Helper()
	url, err := c.run(t, "start")
	if err != nil {
		cannot(t, err)
	}
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatalf("connect to the cluster: %v", err)
	}
	defer conn.Close(t.Context())
	return url
}

// Stop ends it as an administrator does, once clients are cut off.
func (c *Cluster) Stop(t testing.TB) {
	t.Helper()
	if _, err := c.run(t, "stop"); err != nil {
		t.Errorf("stop the cluster: %v", err)
	}
}

// Crash ends it at once, so that it has to recover.
func (c *Cluster) Crash(t testing.TB) { c.end(t, syscall.SIGQUIT) }

// Kill ends its first process with SIGKILL, which the others notice and follow.
func (c *Cluster) Kill(t testing.TB) { c.end(t, syscall.SIGKILL) }

func (c *Cluster) end(t testing.TB, signal syscall.Signal) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(c.dir, "data", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(content), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, signal); err != nil {
		t.Fatalf("end the cluster: %v", err)
	}
	for deadline := time.Now().Add(endTime); !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH); {
		if time.Now().After(deadline) {
			t.Fatal("Postgres does not end")
		}
		time.Sleep(10 * time.Millisecond) // there is nothing to wait for: it is not a child of this process
	}
}
