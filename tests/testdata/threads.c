// Loads a library and says with how much timer slack it creates its threads, and that the loading thread keeps its own.
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/prctl.h>

static atomic_int threads, patient;

// Stands in for the one of libc.
int pthread_create(pthread_t * thread, const pthread_attr_t * attr, void * (*start)(void *), void * arg) {
    int (*real)(pthread_t *, const pthread_attr_t *, void * (*)(void *), void *) =
        (int (*)(pthread_t *, const pthread_attr_t *, void * (*)(void *), void *)) dlsym(RTLD_NEXT, "pthread_create");
    threads++;
    patient += prctl(PR_GET_TIMERSLACK) >= 1000*1000; // which the thread inherits
    return real(thread, attr, start, arg);
}

int main(int argc, char ** argv) {
    const int before = prctl(PR_GET_TIMERSLACK);
    void * lib = argc == 2 ? dlopen(argv[1], RTLD_NOW) : NULL;
    if (!lib) {
        fprintf(stderr, "%s\n", argc == 2 ? dlerror() : "name a library");
        return 1;
    }
    const char * (*version)(void) = (const char * (*)(void)) dlsym(lib, "retro_version");
    if (!version || !version()) { // waits until Go's runtime is up
        return 1;
    }
    const int created = threads;
    printf("%s, %s\n", created > 0 && patient >= created ? "all patient" : "not all patient",
        prctl(PR_GET_TIMERSLACK) == before ? "the host as before" : "the host changed");
    return 0;
}
