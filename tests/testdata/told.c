/* Loaded before the libraries of a program: tells how many threads llama.cpp has for each pass. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>

void ggml_backend_cpu_set_n_threads(void * backend, int n) {
    void (*set)(void *, int) = (void (*)(void *, int)) dlsym(RTLD_NEXT, "ggml_backend_cpu_set_n_threads");
    fprintf(stderr, "told: %d threads\n", n);
    set(backend, n);
}
