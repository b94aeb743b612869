package e2e

import (
	"bytes"
	"context"
	"os/exec"
	"strings"
	"testing"

	"sotto/shared/installed"
)

// inNode is a [webClient] in Node, which verifies certificates as browsers do.
func inNode(t *testing.T, r webRelay, task string, parameters, result any) {
	t.Helper()
	out := node(t, "node.mjs", r.caFile, task, marshal(t, parameters))
	lines := strings.Split(strings.TrimSpace(out), "\n")
	steps, last := lines[:len(lines)-1], lines[len(lines)-1]
	if len(steps) > 0 {
		t.Log("\n" + strings.Join(steps, "\n"))
	}
	readResult(t, []byte(last), result)
}

// node runs a script in the directory web, which has to succeed, and returns what it printed.
func node(t *testing.T, script string, args ...string) string {
	t.Helper()
	path := installed.Program(t, "nodejs", "node", "nodejs")
	ctx, cancel := context.WithTimeout(t.Context(), testTime)
	defer cancel()
	// Node calls X25519 in WebCrypto experimental, with a warning each time.
	cmd := exec.CommandContext(ctx, path, append([]string{"--no-warnings", "web/" + script}, args...)...)
	cmd.Env = webEnvironment(t.TempDir())
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s%s", script, err, stdout.String(), stderr.String())
	}
	return stdout.String()
}

// TestWebVectors checks the client of these tests itself, so that what it says of a relay counts.
func TestWebVectors(t *testing.T) {
	relayBinary(t)
	t.Log("\n" + node(t, "vectors.mjs", "../../../shared/testdata/vectors/xftp"))
}

// TestWebNode holds a whole conversation as a browser does, and looks at what browsers keep to themselves.
func TestWebNode(t *testing.T) {
	for _, kind := range []keyKind{keyECDSA, keyRSA} {
		t.Run(string(kind), func(t *testing.T) {
			r := startWebRelay(t, kind)
			inNode(t, r, "inspect", map[string]string{"address": r.address}, nil)
			inNode(t, r, "converse", map[string]string{"address": r.address}, nil)
		})
	}
}
