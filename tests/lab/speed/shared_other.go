//go:build !linux

package speed

import "os"

// sharedFile has no name any more, so that nothing is left of it whatever ends the program.
func sharedFile() (*os.File, error) {
	file, err := os.CreateTemp("", "state-")
	if err != nil {
		return nil, err
	}
	return file, os.Remove(file.Name())
}
