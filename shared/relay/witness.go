package relay

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Witness knows what must not appear in the relay's output.
type Witness struct {
	mu      sync.Mutex
	secrets map[string]string // bytes or text, and what they are
	ports   map[string]bool
}

// NewWitness returns one that has seen nothing.
func NewWitness() *Witness {
	return &Witness{secrets: make(map[string]string), ports: make(map[string]bool)}
}

// minSecret is the length below which something may appear by chance.
const minSecret = 8

// Saw notes a secret.
func (w *Witness) Saw(what string, secret []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(secret) >= minSecret {
		w.secrets[string(secret)] = what
	}
}

// SawPort notes the port of a client.
func (w *Witness) SawPort(port string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ports[port] = true
}

// Check searches everything that the relay has printed.
func (w *Witness) Check(t testing.TB, r *Relay) {
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
