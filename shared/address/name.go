package address

import "strings"

// CanonicalName is the form in which host names are compared: in lower case, and without the dot that may end them. A name
// that is nothing but a dot stays one.
func CanonicalName(name string) string {
	if trimmed := strings.TrimSuffix(name, "."); trimmed != "" {
		name = trimmed
	}
	return strings.ToLower(name)
}
