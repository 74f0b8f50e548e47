package bridge

// haveThreadID: there is no cheap counterpart of gettid, so errors go without the lines logged
// about them.
const haveThreadID = false

func threadID() int { return 0 }

func keepSIGURG(load func() error) error { return load() }

const retroName = "libretroattn.dylib"

var llamaNames = []string{"libllama.dylib"}

// neededLibraries: dyld finds what a library links to by its @rpath.
func neededLibraries(string) ([]string, error) { return nil, nil }
