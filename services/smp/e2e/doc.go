// Package e2e has no code of its own: its tests run the relay's real binary as a process, against a real database and
// over the loopback interface, and treat it as clients, operators and attackers do. They take minutes, so they run
// only when SOTTO_E2E is set, as `make e2e` does, with SOTTO_TEST_DATABASE_URL naming a Postgres where they may create
// databases. The load benchmark is the command in load.
package e2e
