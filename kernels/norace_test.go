//go:build !race

package kernels

// raceEnabled thins out the property tests, which take ten times as long.
const raceEnabled = false
