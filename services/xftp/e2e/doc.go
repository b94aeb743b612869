// Package e2e runs the file relay's real binary on a real Postgres, and holds whole conversations with it: as native
// clients, as browsers, and as a person at the command line.
package e2e
