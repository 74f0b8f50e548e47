package main

/*
#include <pthread.h>

__attribute__((visibility("hidden"))) int process_forked;

static void in_child(void) { process_forked = 1; }

__attribute__((constructor)) static void watch_forks(void) { pthread_atfork(NULL, NULL, in_child); }
*/
import "C"

// forked tells that this is a child of the process that loaded the library. Only the thread that
// forked is here, none of the runtime's: the next garbage collection would wait for ever, so calls
// are refused before they allocate anything.
func forked() bool { return C.process_forked != 0 }
