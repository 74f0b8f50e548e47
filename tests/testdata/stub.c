/* A libretroattn that computes nothing and fails where STUB_FAILS says, on the
 * first step that gets there, or after as many as STUB_SKIP says. */
#include "retroattn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int next_pos[256];

/* Leaves a mark, by which the test knows that it came to this. */
static int fails(const char * where) {
    const char * at = getenv("STUB_FAILS");
    if (!at || strcmp(at, where)) return 0;
    static int calls;
    const char * skip = getenv("STUB_SKIP");
    if (skip && calls++ < atoi(skip)) return 0;
    FILE * f = fopen(getenv("STUB_MARK"), "w");
    if (f) fclose(f);
    return 1;
}

const char * retro_version(void) { return "stub"; }
uint32_t retro_abi_version(void) { return RETRO_ABI_VERSION; }
int32_t retro_check_options(const char * o, char * m, uint32_t c) { (void) o; (void) m; (void) c; return 0; }
int32_t retro_open(const struct retro_config * c, const char * o, uint64_t * e, char * m, uint32_t n) {
    (void) o;
#ifdef STUB_ABI /* a library of another version, which refuses as ours does */
    if (c->abi_version != STUB_ABI) { snprintf(m, n, "the caller was built for version %u of the interface, this library has %d", c->abi_version, STUB_ABI); return RETRO_ERR_ARGUMENT; }
#endif
    (void) c;
    if (fails("open")) { snprintf(m, n, "stub does not open"); return RETRO_ERR_INTERNAL; }
    *e = 1;
    return 0;
}
int32_t retro_close(uint64_t e) { (void) e; return 0; }
int32_t retro_add_layer(uint64_t e, const struct retro_layer * l) { (void) e; (void) l; return 0; }
int32_t retro_plan(uint64_t e, const struct retro_passes * p, char * l, uint32_t c) {
    (void) e; (void) p;
    if (fails("plan")) return RETRO_ERR_INTERNAL;
    if (c) l[0] = 0;
    return 1;
}
int32_t retro_plan_rows(uint64_t e) { (void) e; return 0; }
int32_t retro_plan_threads(uint64_t e) {
    (void) e;
    const char * n = getenv("STUB_THREADS");
    return n ? atoi(n) : 0;
}
int32_t retro_max_window(uint64_t e) { (void) e; return 1; }
int32_t retro_seq_next(uint64_t e, int32_t s) { (void) e; return next_pos[s]; }
int32_t retro_seq_extend(uint64_t e, int32_t s, uint32_t n, const int32_t * p, const int32_t * c) {
    (void) e; (void) c;
    if (n) next_pos[s] = p[n - 1] + 1;
    return 0;
}
int32_t retro_seq_truncate(uint64_t e, int32_t s, int32_t p) {
    (void) e;
    for (int i = 0; i < 256; i++) if ((s == -1 || s == i) && next_pos[i] > p) next_pos[i] = p;
    return 0;
}
int32_t retro_seq_copy(uint64_t e, int32_t s, int32_t d, int32_t p, int32_t o) { (void) e; (void) s; (void) d; (void) p; (void) o; return 0; }
int32_t retro_seq_save(uint64_t e, int32_t s, const void * n, uint64_t k, void * d, uint64_t c, uint64_t * z) {
    (void) e; (void) s; (void) n; (void) k; (void) d; (void) c;
    *z = 0;
    return 0;
}
int32_t retro_seq_load(uint64_t e, int32_t s, const void * d, uint64_t z, void * n, uint64_t c, uint64_t * k) {
    (void) e; (void) s; (void) d; (void) z; (void) n; (void) c;
    *k = 0;
    return RETRO_ERR_UNSUPPORTED;
}
int32_t retro_seq_window(uint64_t e, int32_t s, int32_t p) {
    (void) e; (void) s; (void) p;
    return fails("seq_window") ? RETRO_ERR_INTERNAL : 0;
}
int32_t retro_step_begin(uint64_t e, const struct retro_row * r, uint32_t n, uint32_t t) {
    (void) e; (void) t;
    if (fails("step_begin")) return RETRO_ERR_INTERNAL;
    for (uint32_t i = 0; i < n; i++) next_pos[r[i].seq] = r[i].pos + 1;
    return 0;
}
int32_t retro_select(uint64_t e, const struct retro_attn * a, uint32_t i, uint32_t n) {
    (void) e; (void) a; (void) i; (void) n;
    return fails("select") ? RETRO_ERR_INTERNAL : 0;
}
int32_t retro_attend(uint64_t e, const struct retro_attn * a, uint32_t i, uint32_t n) {
    (void) e; (void) a; (void) i; (void) n;
    return fails("attend") ? RETRO_ERR_INTERNAL : 0;
}
int32_t retro_step_end(uint64_t e, int32_t ok) {
    (void) e;
    return ok && fails("step_end") ? RETRO_ERR_INTERNAL : 0;
}
int32_t retro_get_stats(uint64_t e, struct retro_stats * s) { (void) e; (void) s; return RETRO_ERR_STATE; }
int32_t retro_report(int32_t f, const struct retro_stats * s, const struct retro_stats * t, char * b, uint32_t c) {
    (void) f; (void) s; (void) t;
    if (c) b[0] = 0;
    return 0;
}
int32_t retro_error(uint64_t e, char * b, uint32_t c) { (void) e; return snprintf(b, c, "stub fails"); }
