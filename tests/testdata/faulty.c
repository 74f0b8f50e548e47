/* The library named by FAULTY_LIB, in which one call fails: the first of FAULTY_AT (select, attend, step_begin or step_end)
 * in step FAULTY_STEP, counted from 0, that is for layer FAULTY_LAYER. A failing attend leaves NaN behind, as memory that
 * was not written may hold. What fails says so on standard error. */
#include "retroattn.h"

#include <dlfcn.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void * real;
static const char * at;
static int step = -1, fail_step, fail_layer;
static uint32_t heads;
static atomic_int failed;

__attribute__((constructor)) static void load(void) {
    real = dlopen(getenv("FAULTY_LIB"), RTLD_NOW | RTLD_LOCAL);
    if (!real) {
        fprintf(stderr, "%s\n", dlerror());
        abort();
    }
    at = getenv("FAULTY_AT");
    fail_step = atoi(getenv("FAULTY_STEP"));
    fail_layer = atoi(getenv("FAULTY_LAYER"));
}

static int fails(const char * where, int layer) {
    if (step != fail_step || layer != fail_layer || strcmp(at, where) || atomic_exchange(&failed, 1)) return 0;
    fprintf(stderr, "%s failed\n", where);
    return 1;
}

/* FORWARD(name, parameters with types, arguments) */
#define CALL(name, types, args) ((int32_t (*) types) dlsym(real, #name)) args
#define FORWARD(name, types, args) int32_t name types { return CALL(name, types, args); }

const char * retro_version(void) { return ((const char * (*)(void)) dlsym(real, "retro_version"))(); }
uint32_t retro_abi_version(void) { return RETRO_ABI_VERSION; }
FORWARD(retro_check_options, (const char * o, char * m, uint32_t c), (o, m, c))
FORWARD(retro_open, (const struct retro_config * c, const char * o, uint64_t * e, char * m, uint32_t n), (c, o, e, m, n))
FORWARD(retro_close, (uint64_t e), (e))
int32_t retro_add_layer(uint64_t e, const struct retro_layer * l) {
    heads = l->n_head * l->d_v;
    return CALL(retro_add_layer, (uint64_t, const struct retro_layer *), (e, l));
}
FORWARD(retro_plan, (uint64_t e, const struct retro_passes * p, char * l, uint32_t c), (e, p, l, c))
FORWARD(retro_max_window, (uint64_t e), (e))
FORWARD(retro_seq_next, (uint64_t e, int32_t s), (e, s))
FORWARD(retro_seq_extend, (uint64_t e, int32_t s, uint32_t n, const int32_t * p, const int32_t * c), (e, s, n, p, c))
FORWARD(retro_seq_truncate, (uint64_t e, int32_t s, int32_t p), (e, s, p))
FORWARD(retro_seq_copy, (uint64_t e, int32_t s, int32_t d, int32_t p, int32_t o), (e, s, d, p, o))
FORWARD(retro_seq_save, (uint64_t e, int32_t s, const void * n, uint64_t k, void * d, uint64_t c, uint64_t * z), (e, s, n, k, d, c, z))
FORWARD(retro_seq_load, (uint64_t e, int32_t s, const void * d, uint64_t z, void * n, uint64_t c, uint64_t * k), (e, s, d, z, n, c, k))
FORWARD(retro_seq_window, (uint64_t e, int32_t s, int32_t p), (e, s, p))
int32_t retro_step_begin(uint64_t e, const struct retro_row * r, uint32_t n, uint32_t t) {
    step++;
    if (fails("step_begin", fail_layer)) return RETRO_ERR_INTERNAL;
    return CALL(retro_step_begin, (uint64_t, const struct retro_row *, uint32_t, uint32_t), (e, r, n, t));
}
int32_t retro_select(uint64_t e, const struct retro_attn * a, uint32_t i, uint32_t n) {
    if (fails("select", (int) a->layer)) return RETRO_ERR_INTERNAL;
    return CALL(retro_select, (uint64_t, const struct retro_attn *, uint32_t, uint32_t), (e, a, i, n));
}
int32_t retro_attend(uint64_t e, const struct retro_attn * a, uint32_t i, uint32_t n) {
    if (fails("attend", (int) a->layer)) {
        for (uint32_t r = 0; r < a->n_row; r++) {
            for (uint32_t j = 0; j < heads; j++) ((float *) ((char *) a->out + r*a->out_row))[j] = NAN;
        }
        return RETRO_ERR_INTERNAL;
    }
    return CALL(retro_attend, (uint64_t, const struct retro_attn *, uint32_t, uint32_t), (e, a, i, n));
}
int32_t retro_step_end(uint64_t e, int32_t ok) {
    if (ok && fails("step_end", fail_layer)) return RETRO_ERR_INTERNAL;
    return CALL(retro_step_end, (uint64_t, int32_t), (e, ok));
}
FORWARD(retro_get_stats, (uint64_t e, struct retro_stats * s), (e, s))
FORWARD(retro_summary, (uint64_t e, char * b, uint32_t c), (e, b, c))
FORWARD(retro_error, (uint64_t e, char * b, uint32_t c), (e, b, c))
