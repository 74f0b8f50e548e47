#include <pthread.h>
#include <sys/prctl.h>

// Go's runtime has a thread that looks after the others (sysmon). While a host's threads call into Go
// every some microseconds it would wake up about 7000 times per second, each time in the place of a
// thread that computes. Timer slack lets the kernel put those wake-ups off: threads inherit it from the
// thread that creates them, so it is raised for the moment in which one of the runtime's threads is created.

enum { slack_ns = 5*1000*1000 };

typedef void * (*start_routine)(void *);

int __real_pthread_create(pthread_t * thread, const pthread_attr_t * attr, start_routine start, void * arg);

// The linker puts it in the place of pthread_create in this library (see main.go).
int __wrap_pthread_create(pthread_t * thread, const pthread_attr_t * attr, start_routine start, void * arg) {
    const int before = prctl(PR_GET_TIMERSLACK);
    if (before >= 0 && before < slack_ns) {
        prctl(PR_SET_TIMERSLACK, slack_ns);
    }
    const int res = __real_pthread_create(thread, attr, start, arg);
    if (before >= 0 && before < slack_ns) {
        prctl(PR_SET_TIMERSLACK, before > 0 ? before : 1);
    }
    return res;
}
