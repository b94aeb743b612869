package address

import (
	"fmt"
	"io"
)

// Password is what a relay may ask of those who create queues or chunks, or use it as a proxy, 0 to 255 bytes. It never prints itself. Compare it
// in constant time.
//
// Spec: smp.md 1.6
type Password []byte

// Format keeps passwords out of logs and errors, whatever the verb.
func (Password) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[password]") }

// MarshalText keeps passwords out of JSON and logs.
func (Password) MarshalText() ([]byte, error) { return []byte("[password]"), nil }

// Valid reports whether each byte, taken as a Latin-1 character, is printable and none of white space, "@", ":", "/"
// and the soft hyphen, and the whole is short enough for the wire.
//
// Spec: smp.md 1.6
func (a Password) Valid() bool {
	if len(a) > maxStr {
		return false
	}
	for _, c := range a {
		switch {
		case c <= ' ', c >= 0x7f && c <= 0xa0, c == 0xad, c == '@', c == ':', c == '/':
			return false
		}
	}
	return true
}
