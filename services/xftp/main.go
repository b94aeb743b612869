// Command xftp keeps the place of the file relay in the workspace, and says that there is none.
package main

import (
	"fmt"
	"io"
	"os"
)

func main() { os.Exit(run(os.Stderr)) }

// run tells why nothing is served and returns the exit code.
func run(stderr io.Writer) int {
	fmt.Fprintln(stderr, "xftp: the file relay is not part of this build.")
	return 1
}
