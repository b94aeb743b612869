package run

import (
	"fmt"
	"io"
	"strings"

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
	Setting       string // that names the host
	Code          bool   // print a code to scan
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
	lines = append(lines, [2]string{"next", a.next(w)})
	for _, line := range append(lines, [2]string{addressName, a.Advertised.Text(a.Identity, terminal.Is(w))}) {
		if line[0] == addressName {
			a.printCode(w)
		}
		fmt.Fprintf(w, "  %-12s %s\n", line[0], line[1])
	}
	if a.hides(w) {
		fmt.Fprintf(w, "               (the password is left out here; `%s address` prints it)\n", a.Name)
	}
}

// hides reports whether the password is left out of what is printed to w, which may be a log.
func (a Announcement) hides(w io.Writer) bool { return a.Advertised.Password != "" && !terminal.Is(w) }

// printCode prints the address as a code, if that is of use.
func (a Announcement) printCode(w io.Writer) {
	if !a.Code || a.hides(w) {
		return
	}
	if code, err := terminal.QR(a.Advertised.Text(a.Identity, true)); err == nil { // an address too long for a code has none
		fmt.Fprintln(w, code)
	}
}

// next tells the operator what to do now.
func (a Announcement) next(w io.Writer) string {
	switch first := a.Advertised.Server.Hosts[0]; {
	case first == "localhost" || strings.HasPrefix(string(first), "127.") || first == "::1":
		return "this address is of use on this machine only: set " + a.Setting + " to a name that leads here, and start again"
	case a.hides(w):
		return "`" + a.Name + " address` prints a code to scan in the app: " + a.Advertised.Scan
	default:
		return "scan the code in the app, or paste the address: " + a.Advertised.Scan
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
