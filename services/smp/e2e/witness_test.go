package e2e

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"sotto/shared/relay"
)

// witness knows what must not appear in the relay's output.
type witness struct {
	mu      sync.Mutex
	secrets map[string]string // bytes or text, and what they are
	ports   map[string]bool
}

func newWitness() *witness {
	return &witness{secrets: make(map[string]string), ports: make(map[string]bool)}
}

// minSecret is the length below which something may appear by chance.
const minSecret = 8

// saw notes a secret.
func (w *witness) saw(what string, secret []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(secret) >= minSecret {
		w.secrets[string(secret)] = what
	}
}

// check searches everything that the relay has printed.
func (w *witness) check(t *testing.T, r *relay.Relay) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	output := r.Stdout.String() + r.Stderr.String()
	kinds := make(map[string]int)
	for secret, what := range w.secrets {
		kinds[what]++
		for form, text := range forms(secret) {
			if strings.Contains(output, text) {
				t.Errorf("%s is printed, %s", what, form)
			}
		}
	}
	for port := range w.ports {
		if found := regexp.MustCompile(`\b` + port + `\b`).FindString(output); found != "" {
			t.Errorf("a client's port is printed")
		}
	}
	t.Logf("searched %d bytes of output for %d secrets and %d ports: %v", len(output), len(w.secrets), len(w.ports), kinds)
}

// forms are the ways in which a secret may be printed. The beginning is enough of it, and in most forms the end.
func forms(secret string) map[string]string {
	// The parts are multiples of 3 bytes, which base64 encodes by themselves.
	const part = 9
	begin, end := secret[:min(part, len(secret))], secret[max(0, len(secret)-part):]
	begin = begin[:len(begin)/3*3]
	decimal := make([]string, len(begin))
	for i := range len(begin) {
		decimal[i] = strconv.Itoa(int(begin[i]))
	}
	bytewise := make([]string, len(begin))
	for i := range len(begin) {
		bytewise[i] = fmt.Sprintf("%#x", begin[i])
	}
	quoted := strconv.Quote(begin)
	return map[string]string{
		"as it is":                  begin,
		"quoted":                    quoted[1 : len(quoted)-1],
		"in hex":                    hex.EncodeToString([]byte(begin)),
		"in upper case hex":         strings.ToUpper(hex.EncodeToString([]byte(begin))),
		"in hex, at least its end":  hex.EncodeToString([]byte(end)),
		"in hex, byte by byte":      strings.Join(bytewise, ", "),
		"in base64":                 base64.StdEncoding.EncodeToString([]byte(begin)),
		"in base64url":              base64.URLEncoding.EncodeToString([]byte(begin)),
		"in decimal":                strings.Join(decimal, " "),
		"in decimal, with commas":   strings.Join(decimal, ","),
		"in decimal, as Go source ": strings.Join(decimal, ", "),
	}
}

// TestWitness prints a secret in the ways that programs do, and finds it.
func TestWitness(t *testing.T) {
	secret := []byte("\x01\x02\xfe\xff\x80 an id of a queue \x00")
	for _, printed := range []string{
		string(secret), fmt.Sprintf("%q", secret), fmt.Sprintf("%x", secret), fmt.Sprintf("%X", secret),
		fmt.Sprintf("%#v", secret), fmt.Sprintf("%v", secret), strings.ReplaceAll(fmt.Sprintf("%v", secret), " ", ","),
		base64.StdEncoding.EncodeToString(secret), base64.RawURLEncoding.EncodeToString(secret),
		fmt.Sprintf("queue %x: gone", secret[:12]),
	} {
		found := false
		for _, text := range forms(string(secret)) {
			found = found || strings.Contains(printed, text)
		}
		if !found {
			t.Errorf("the secret is not found in %s", printed)
		}
	}
}
