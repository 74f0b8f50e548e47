//go:build darwin

package bridge

// haveThreadID: there is no cheap counterpart of gettid, so errors go without the lines logged about them.
const haveThreadID = false

func threadID() int { return 0 }

func keepSIGURG(load func() error) error { return load() }
