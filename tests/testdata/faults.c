/* The libretroattn REAL, of whose calls one fails without having reached it: the nth from a fault_at(n) on, or, of a
 * program that cannot call that, the FAULT_AT-th, of the function FAULT_IN if that is given; FAULT_MARK is a file that is
 * made then. What a failed call should have written is no number. Functions that are not here are REAL's own. */
#include "retroattn.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void * lib;
static const char * only;
static atomic_long left; /* calls up to the one that fails; 0: none will */
static _Atomic(const char *) failed;

void fault_at(long n) {
    failed = NULL;
    left = n;
}

/* The function that failed, or NULL. */
const char * fault_in(void) { return failed; }

__attribute__((constructor)) static void init(void) {
    lib = dlopen(REAL, RTLD_NOW | RTLD_LOCAL);
    if (!lib) { fprintf(stderr, "%s\n", dlerror()); abort(); }
    only = getenv("FAULT_IN");
    if (getenv("FAULT_AT")) left = atol(getenv("FAULT_AT"));
}

static int fails(const char * name) {
    if (left <= 0 || (only && strcmp(only, name)) || atomic_fetch_sub(&left, 1) != 1) return 0;
    failed = name;
    const char * mark = getenv("FAULT_MARK");
    FILE * f = mark ? fopen(mark, "w") : NULL;
    if (f) fclose(f);
    return 1;
}

#define REAL_CALL(name, ...) (((__typeof__(&name)) dlsym(lib, #name))(__VA_ARGS__))
#define CALL(name, ...) (fails(#name) ? RETRO_ERR_INTERNAL : REAL_CALL(name, __VA_ARGS__))

int32_t retro_seq_next(uint64_t e, int32_t s) { return CALL(retro_seq_next, e, s); }
int32_t retro_seq_extend(uint64_t e, int32_t s, uint32_t n, const int32_t * p, const int32_t * c) { return CALL(retro_seq_extend, e, s, n, p, c); }
int32_t retro_seq_truncate(uint64_t e, int32_t s, int32_t p) { return CALL(retro_seq_truncate, e, s, p); }
int32_t retro_seq_copy(uint64_t e, int32_t s, int32_t d, int32_t p, int32_t o) { return CALL(retro_seq_copy, e, s, d, p, o); }
int32_t retro_seq_save(uint64_t e, int32_t s, const void * n, uint64_t k, void * d, uint64_t c, uint64_t * z) {
    return CALL(retro_seq_save, e, s, n, k, d, c, z);
}
int32_t retro_seq_load(uint64_t e, int32_t s, const void * d, uint64_t z, void * n, uint64_t c, uint64_t * k) {
    return CALL(retro_seq_load, e, s, d, z, n, c, k);
}
int32_t retro_seq_window(uint64_t e, int32_t s, int32_t p) { return CALL(retro_seq_window, e, s, p); }
int32_t retro_step_begin(uint64_t e, const struct retro_row * r, uint32_t n, uint32_t t) { return CALL(retro_step_begin, e, r, n, t); }
int32_t retro_select(uint64_t e, const struct retro_attn * a, uint32_t i, uint32_t n) { return CALL(retro_select, e, a, i, n); }

int32_t retro_attend(uint64_t e, const struct retro_attn * a, uint32_t i, uint32_t n) {
    const int32_t status = CALL(retro_attend, e, a, i, n);
    for (uint32_t r = 0; status != RETRO_OK && r < a->n_row; r++) memset((char *) a->out + r*a->out_row, 0xff, a->out_row);
    return status;
}

int32_t retro_step_end(uint64_t e, int32_t ok) {
    if (ok && fails("retro_step_end")) {
        REAL_CALL(retro_step_end, e, 0);
        return RETRO_ERR_INTERNAL;
    }
    return REAL_CALL(retro_step_end, e, ok);
}
