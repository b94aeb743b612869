package run

import (
	"fmt"
	"io"

	"sotto/shared/identity"
	"sotto/shared/terminal"
)

// Announcement tells the operator what runs, in few lines.
type Announcement struct {
	Name, Version string
	Advertised    Advertised
	Identity      *identity.Identity
	Made          bool // the identity is new
	Lines         [][2]string
}

// addressName is that of the last line, which tells that the relay serves.
const addressName = "address"

// Print writes the announcement, the address last. The password is only for a person to see.
func (a Announcement) Print(w io.Writer) {
	keys := a.Advertised.Identity.Where()
	if a.Made {
		keys += " (new: back it up, it is the relay's address)"
	}
	fmt.Fprintf(w, "%s %s\n", a.Name, a.Version)
	lines := append([][2]string{{"identity", keys}}, a.Lines...)
	for _, line := range append(lines, [2]string{addressName, a.Advertised.Text(a.Identity, terminal.Is(w))}) {
		fmt.Fprintf(w, "  %-12s %s\n", line[0], line[1])
	}
	if a.Advertised.Password != "" && !terminal.Is(w) {
		fmt.Fprintf(w, "               (the password is left out here; `%s address` prints it)\n", a.Name)
	}
}

// Who tells who may create something, from what may be created at all and the password.
func Who(allowed bool, setting, password string) string {
	switch {
	case !allowed:
		return "nobody (" + setting + "=false)"
	case password != "":
		return "those who know the password"
	default:
		return "anyone"
	}
}
