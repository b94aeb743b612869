//go:build race

package server_test

// raceEnabled: the detector has memory of its own.
const raceEnabled = true
