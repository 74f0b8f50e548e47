// Command gohost loads a libretroattn into a Go process on Windows, which then has two of Go's
// runtimes.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/ebitengine/purego"
	"golang.org/x/sys/windows"
)

func main() {
	handle, err := windows.LoadLibraryEx(os.Args[1], 0,
		windows.LOAD_LIBRARY_SEARCH_DLL_LOAD_DIR|windows.LOAD_LIBRARY_SEARCH_DEFAULT_DIRS)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	var check func(options string, msg *byte, size uint32) int32
	purego.RegisterLibFunc(&check, uintptr(handle), "retro_check_options")

	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for begun := time.Now(); time.Since(begun) < time.Second; {
				msg := make([]byte, 256)
				if code := check("window=17", &msg[0], uint32(len(msg))); code != -1 ||
					!strings.Contains(string(msg), "window=17") {
					panic(fmt.Sprint(code, string(msg)))
				}
				runtime.GC() // stops goroutines in busy loops, too
			}
		})
	}
	wg.Wait()
	fmt.Println("ok")
}
