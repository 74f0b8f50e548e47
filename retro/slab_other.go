//go:build !linux

package retro

func adviseHuge([]byte) {}
