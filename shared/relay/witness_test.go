package relay

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
)

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
