//go:build !race

package retro

// raceEnabled has fewer cases run, as each takes ten times as long.
const raceEnabled = false
