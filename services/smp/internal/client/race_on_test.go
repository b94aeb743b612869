//go:build race

package client

// raceEnabled: sync.Pool drops some of what it is given, on purpose, so allocations cannot be counted.
const raceEnabled = true
