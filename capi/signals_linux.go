package main

/*
#include <signal.h>

// A handler that the host installed without SA_ONSTACK runs on the stack that the thread is on, and
// here that is a goroutine's, of a few KB: what lies behind it would be overwritten. Go's runtime
// adds the flag when it is loaded; hosts install handlers later, too (llama-server does). On the
// host's own stacks the flag changes nothing, unless it has set up an alternate stack, which it
// wants to be used then.
static void handlersOnStack(void) {
    static const int signals[] = { SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGPIPE, SIGALRM, SIGTERM, SIGCHLD, SIGCONT, SIGTSTP,
        SIGTTIN, SIGTTOU, SIGURG, SIGXCPU, SIGVTALRM, SIGPROF, SIGWINCH, SIGIO };
    for (unsigned i = 0; i < sizeof(signals)/sizeof(signals[0]); i++) {
        struct sigaction a;
        if (sigaction(signals[i], NULL, &a) || a.sa_flags & SA_ONSTACK || a.sa_handler == SIG_DFL || a.sa_handler == SIG_IGN) continue;
        a.sa_flags |= SA_ONSTACK;
        sigaction(signals[i], &a, NULL);
    }
}
*/
import "C"

// handlersOnStack makes the host's signal handlers safe to run while its threads are in Go code. It
// takes 3 us.
func handlersOnStack() { C.handlersOnStack() }
