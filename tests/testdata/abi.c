/* Calls every export of libretroattn: first rightly, on a KV cache of its own,
 * then with garbage, which must come back as a code and a sentence. */
#include "retroattn.h"

#include <math.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(cond) do { if (!(cond)) { printf("line %d: %s\n", __LINE__, #cond); failures++; } } while (0)

enum { N_CELL = 1024, N_HEAD = 4, N_KV = 2, D = 16, N_THREAD = 2, N_PROMPT = 700 };

static int failures;

static uint16_t cache_k[N_CELL][N_KV][D], cache_v[N_CELL][N_KV][D];
static float q[2][N_HEAD][D], out[2][N_HEAD][D];

/* small integers and halves, exact in F16 */
static uint16_t f16(float x) {
    uint32_t b;
    memcpy(&b, &x, 4);
    if ((b & 0x7fffffff) == 0) return 0;
    return (uint16_t) ((b >> 16 & 0x8000) | (((b >> 23 & 0xff) - 112) << 10) | (b >> 13 & 0x3ff));
}

static float f32(uint16_t h) {
    if ((h & 0x7fff) == 0) return 0;
    uint32_t b = (uint32_t) (h & 0x8000) << 16 | ((h >> 10 & 0x1f) + 112u) << 23 | (h & 0x3ffu) << 13;
    float x;
    memcpy(&x, &b, 4);
    return x;
}

static uint32_t seed = 1;
static float number(void) {
    seed = seed*1664525 + 1013904223;
    return ((int) (seed >> 24) - 128)/64.0f;
}

static uint64_t engine;
static struct retro_attn attn;

/* a barrier, which macOS lacks */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t  all   = PTHREAD_COND_INITIALIZER;
static int selected;

static void wait_for_all(void) {
    pthread_mutex_lock(&mutex);
    if (++selected == N_THREAD) pthread_cond_broadcast(&all);
    while (selected < N_THREAD) pthread_cond_wait(&all, &mutex);
    pthread_mutex_unlock(&mutex);
}

static void * worker(void * arg) {
    int32_t code = retro_select(engine, &attn, (uint32_t) (intptr_t) arg, N_THREAD);
    wait_for_all();
    if (code == RETRO_OK) code = retro_attend(engine, &attn, (uint32_t) (intptr_t) arg, N_THREAD);
    return (void *) (intptr_t) code;
}

static void attend(void) {
    pthread_t t[N_THREAD];
    selected = 0;
    for (intptr_t i = 0; i < N_THREAD; i++) pthread_create(&t[i], NULL, worker, (void *) i);
    for (int i = 0; i < N_THREAD; i++) {
        void * code;
        pthread_join(t[i], &code);
        CHECK((intptr_t) code == RETRO_OK);
    }
}

static struct retro_config good_config(void) {
    struct retro_config c = { sizeof(c), RETRO_ABI_VERSION, 1, 2, N_CELL, 4, N_THREAD };
    return c;
}

static struct retro_layer good_layer(void) {
    struct retro_layer l = { sizeof(l), 0, RETRO_TYPE_F16, RETRO_TYPE_F16, N_HEAD, N_KV, D, D, cache_k, cache_v,
        sizeof(cache_k), sizeof(cache_v), sizeof(cache_k[0]), sizeof(cache_v[0]), sizeof(cache_k[0][0]), sizeof(cache_v[0][0]) };
    return l;
}

static float exact(int row, int head, int dim, int n) {
    double m = -INFINITY, l = 0, acc = 0;
    for (int c = 0; c < n; c++) {
        double x = 0;
        for (int i = 0; i < D; i++) x += q[row][head][i]*f32(cache_k[c][head/(N_HEAD/N_KV)][i]);
        x *= attn.scale;
        if (x > m) { acc *= exp(m - x); l *= exp(m - x); m = x; }
        l   += exp(x - m);
        acc += exp(x - m)*f32(cache_v[c][head/(N_HEAD/N_KV)][dim]);
    }
    return acc/l;
}

/* sequence 0 is copied to 1, saved, and loaded into its copy */
static void save(void) {
    const int32_t known = retro_seq_next(engine, 0);
    CHECK(retro_seq_copy(engine, 0, 1, N_PROMPT, 0) == RETRO_OK && retro_seq_next(engine, 1) == N_PROMPT);
    CHECK(retro_seq_truncate(engine, 1, 0) == RETRO_OK);
    CHECK(retro_seq_copy(engine, 0, 1, 1 << 30, 0) == RETRO_OK && retro_seq_next(engine, 1) == known);

    uint64_t size = 0, size_1 = 0, note_size = 0;
    CHECK(retro_seq_save(engine, 0, "note", 4, NULL, 0, &size) == RETRO_OK && size > 4);
    char * data = malloc(size + 1), note[4];
    data[size] = 'x';
    CHECK(retro_seq_save(engine, 0, "note", 4, data, size - 1, &size_1) == RETRO_ERR_ARGUMENT && size_1 == size);
    CHECK(retro_seq_save(engine, 0, "note", 4, data, size + 1, &size_1) == RETRO_OK && size_1 == size && data[size] == 'x');
    CHECK(retro_seq_load(engine, 1, data, size, note, sizeof(note), &note_size) == RETRO_OK);
    CHECK(note_size == 4 && memcmp(note, "note", 4) == 0);
    memset(note, 'y', sizeof(note));
    CHECK(retro_seq_load(engine, 1, data, size, note, 2, &note_size) == RETRO_OK && note_size == 4 && memcmp(note, "noyy", 4) == 0);
    CHECK(retro_seq_load(engine, 1, data, size, NULL, 0, &note_size) == RETRO_OK);
    CHECK(retro_seq_window(engine, 1, known) == retro_seq_window(engine, 0, known));
    for (uint64_t i = 0; i < size; i += 1 + i/20) {
        CHECK(retro_seq_load(engine, 1, data, i, note, 4, &note_size) == RETRO_ERR_ARGUMENT);
        data[i] ^= 0x10;
        CHECK(retro_seq_load(engine, 1, data, size, note, 4, &note_size) == RETRO_ERR_ARGUMENT);
        data[i] ^= 0x10;
    }
    CHECK(retro_seq_truncate(engine, 1, 0) == RETRO_OK);
    CHECK(retro_seq_save(engine, 1, NULL, 0, data, 0, &size_1) == RETRO_OK && size_1 == 0);
    CHECK(retro_seq_load(engine, 1, data, size, note, 4, &note_size) == RETRO_ERR_ARGUMENT); /* no positions */
    free(data);
}

static void use(const char * options, int sparse) {
    char msg[256] = "";
    struct retro_config config = good_config();
    struct retro_layer  layer  = good_layer();
    CHECK(retro_open(&config, options, &engine, msg, sizeof(msg)) == RETRO_OK);
    CHECK(retro_add_layer(engine, &layer) == RETRO_OK);
    msg[0] = 'x';
    CHECK(retro_plan(engine, NULL, msg, sizeof(msg)) == 1 && !msg[0]); /* all is set */
    CHECK(retro_max_window(engine) == 1);
    CHECK(retro_seq_next(engine, 0) == 0);

    int32_t pos[N_PROMPT], cells[N_PROMPT];
    for (int i = 0; i < N_PROMPT; i++) pos[i] = cells[i] = i;
    CHECK(retro_seq_extend(engine, 0, N_PROMPT, pos, cells) == RETRO_OK);
    CHECK(retro_seq_next(engine, 0) == N_PROMPT);
    const struct retro_attn build = { sizeof(build), 0 };
    CHECK(retro_step_begin(engine, NULL, 0, N_THREAD) == RETRO_OK);
    for (int i = 0; i < N_THREAD; i++) CHECK(retro_select(engine, &build, i, N_THREAD) == RETRO_OK);
    CHECK(retro_step_end(engine, 1) == RETRO_OK);

    for (int step = 0; step < 4; step++) {
        int32_t at   = N_PROMPT + step;
        int32_t past = retro_seq_window(engine, 0, at);
        CHECK(past == (sparse && step > 0));
        struct retro_row rows[2] = { { 0, at - 1, at - 1 }, { 0, at, at } };
        int n = past + 1;
        CHECK(retro_step_begin(engine, rows + 1 - past, n, N_THREAD) == RETRO_OK);
        attn = (struct retro_attn) { sizeof(attn), 0, n, 0.25f, q, out, sizeof(q[0]), sizeof(q[0][0]), sizeof(out[0]) };
        attend();
        CHECK(retro_step_end(engine, 1) == RETRO_OK);
        for (int h = 0; h < N_HEAD && !sparse; h++)
            for (int i = 0; i < D; i++) CHECK(fabsf(out[0][h][i] - exact(0, h, i, at + 1)) < 1e-4f);
    }
    save();
    struct retro_stats stats = { .struct_size = sizeof(stats) };
    CHECK(retro_get_stats(engine, &stats) == RETRO_OK);
    CHECK(stats.n_cell == N_CELL && stats.tokens == 4 && stats.sparse_tokens == (sparse ? 4 : 0));
    CHECK(stats.corrected_tokens == 0 || sparse);
    CHECK(stats.late_pages == (sparse ? N_KV : 0)); /* a page that the last step turned far */
    CHECK(sparse ? stats.kv_read_bytes < stats.kv_full_bytes : stats.kv_read_bytes == stats.kv_full_bytes);
    CHECK((stats.audited_heads > 0) == sparse && (stats.audit_bytes > 0) == sparse && stats.kept_mass <= 1000000*stats.audited_heads);
    struct { struct retro_stats known; uint64_t more; } longer = { .known.struct_size = sizeof(longer), .more = 7 };
    CHECK(retro_get_stats(engine, &longer.known) == RETRO_OK && longer.known.tokens == 4 && longer.more == 7 && longer.known.struct_size == sizeof(longer));
    struct retro_stats shorter = { .struct_size = offsetof(struct retro_stats, far_tokens), .far_tokens = 9 };
    CHECK(retro_get_stats(engine, &shorter) == RETRO_OK && shorter.tokens == 4 && shorter.far_tokens == 9);
    CHECK(stats.short_tokens + stats.sparse_tokens <= stats.tokens);
    CHECK(retro_report(RETRO_REPORT_LINE, &stats, NULL, msg, sizeof(msg)) == (int32_t) strlen(msg) && strncmp(msg, sparse ? "4 of 4" : "0 of 4", 6) == 0);
    CHECK(retro_report(RETRO_REPORT_LINE, &stats, NULL, msg, 4) > 4 && strlen(msg) == 3);
    CHECK(retro_report(RETRO_REPORT_LINE, &stats, &stats, msg, sizeof(msg)) > 0 && strcmp(msg, "0 of 0 tokens sparse") == 0);
    CHECK(retro_report(RETRO_REPORT_LINE, &longer.known, &shorter, msg, sizeof(msg)) > 0 && strncmp(msg, "0 of 0", 6) == 0);
    static char text[16384];
    CHECK(retro_report(RETRO_REPORT_JSON, &stats, NULL, text, sizeof(text)) < (int32_t) sizeof(text) && strncmp(text, "{\"retro_n\":4,", 13) == 0);
    CHECK(retro_report(RETRO_REPORT_METRICS, &stats, NULL, text, sizeof(text)) < (int32_t) sizeof(text) && strstr(text, "\nllamacpp:retro_tokens_total 4\n"));
    CHECK(retro_seq_truncate(engine, 0, 100) == RETRO_OK && retro_seq_next(engine, 0) == 100);
    CHECK(retro_close(engine) == RETRO_OK);
}

static struct retro_passes good_passes(void) {
    struct retro_passes p = { sizeof(p), N_THREAD, 3, { 1, 2, 4 }, { 1000000, 1700000, 2200000 } };
    return p;
}

/* a plan is asked for, made, and decoded with */
static void plan(void) {
    char msg[1024] = "";
    struct retro_config config = good_config();
    struct retro_layer  layer  = good_layer();
    CHECK(retro_open(&config, NULL, &engine, NULL, 0) == RETRO_OK && retro_add_layer(engine, &layer) == RETRO_OK);
    CHECK(retro_plan(engine, NULL, msg, sizeof(msg)) == 0 && strstr(msg, "plan: budget 1024, window 1 (nothing could be measured"));
    CHECK(retro_plan_rows(engine) == 0 && retro_plan_threads(engine) == 0);
    CHECK(retro_max_window(engine) == 0 && retro_close(engine) == RETRO_OK);
    struct retro_passes passes = good_passes(), none = { sizeof(none), N_THREAD };
    CHECK(retro_open(&config, "target=quality,min_ctx=0,window=4", &engine, msg, sizeof(msg)) == RETRO_OK);
    CHECK(retro_plan(engine, NULL, msg, sizeof(msg)) == RETRO_ERR_STATE); /* no layers */
    CHECK(retro_add_layer(engine, &layer) == RETRO_OK);
    CHECK(retro_plan(engine, NULL, msg, sizeof(msg)) == 0);
    CHECK(retro_plan(engine, &none, NULL, 0) == 0);
    CHECK(retro_plan(engine, &passes, msg, sizeof(msg)) == 1 && strncmp(msg, "plan: budget ", 13) == 0 && strstr(msg, "window 4"));
    CHECK(retro_max_window(engine) == 3);
    struct retro_stats stats = { .struct_size = sizeof(stats) };
    CHECK(retro_get_stats(engine, &stats) == RETRO_OK && stats.tokens == 0 && stats.summary_bytes == 0);
    struct retro_row row = { 0, 0, 0 };
    CHECK(retro_step_begin(engine, &row, 1, N_THREAD) == RETRO_OK && retro_step_end(engine, 0) == RETRO_OK);
    CHECK(retro_plan(engine, NULL, msg, sizeof(msg)) == RETRO_ERR_STATE); /* too late */
    CHECK(retro_close(engine) == RETRO_OK);
}

/* what a device could compute goes to who is faster, also where all options are set */
static void device(void) {
    char msg[1024] = "";
    struct retro_config config = good_config();
    struct retro_layer  layer  = good_layer();
    struct retro_passes passes = good_passes(), none = { sizeof(none), N_THREAD, .device = 1 };
    passes.device = 1;
    passes.n_step = 2;
    passes.step_thread[0] = N_THREAD;
    passes.step_thread[1] = 1;
    passes.step_ns[0] = 2000000;
    passes.step_ns[1] = 1000000;
    passes.n_batch = 2;
    passes.batch_depth = 4096;
    passes.batch_row[0] = 8;
    passes.batch_row[1] = 512;
    passes.batch_device_ns[0] = 60000000;
    passes.batch_device_ns[1] = 80000000;
    passes.batch_ns[0] = 50000000;
    passes.batch_ns[1] = 120000000;
    for (int i = 0; i < 2; i++) {
        CHECK(retro_open(&config, i ? "budget=64,window=1,prompts=cpu" : "budget=64,window=1", &engine, NULL, 0) == RETRO_OK);
        CHECK(retro_add_layer(engine, &layer) == RETRO_OK);
        CHECK(retro_plan(engine, &none, msg, sizeof(msg)) == 0 && strstr(msg, i ? "drafts by the cpu" : "prompts by the device"));
        CHECK(retro_plan_rows(engine) == (i ? 0 : 64) && retro_plan_threads(engine) == 0);
        passes.batch_ns[0] = ~0ull;
        CHECK(retro_plan(engine, &passes, msg, sizeof(msg)) == RETRO_ERR_ARGUMENT);
        passes.batch_ns[0] = 50000000;
        CHECK(retro_plan(engine, &passes, msg, sizeof(msg)) == 1 && strstr(msg, "50, 120 by the cpu"));
        CHECK(retro_plan_rows(engine) == (i ? 0 : 108) && retro_plan_threads(engine) == 1);
        CHECK(retro_close(engine) == RETRO_OK);
    }
}

/* code is an error, and there is a sentence for it */
static void refused(int32_t code, uint64_t e, int line) {
    char msg[512] = "";
    if (code >= 0 || retro_error(e, msg, sizeof(msg)) <= 0 || !msg[0]) {
        printf("line %d: code %d, message '%s'\n", line, code, msg);
        failures++;
    }
}
#define REFUSED(call) refused(call, engine, __LINE__)

static void garbage(void) {
    char msg[512];
    char * longer = malloc(1 << 20);
    memset(longer, 'x', 1 << 20);
    longer[(1 << 20) - 1] = 0;
    CHECK(retro_check_options(NULL, NULL, 0) == RETRO_OK);
    CHECK(retro_check_options("budget=-3", msg, sizeof(msg)) == RETRO_ERR_ARGUMENT && strstr(msg, "budget=-3"));
    CHECK(retro_check_options("budget=-3", NULL, 100) == RETRO_ERR_ARGUMENT);
    CHECK(retro_check_options("budget=-3", msg, 0) == RETRO_ERR_ARGUMENT);
    CHECK(retro_check_options(longer, msg, sizeof(msg)) == RETRO_ERR_ARGUMENT);
    CHECK(retro_check_options("\xff\xfe=\x01", msg, sizeof(msg)) == RETRO_ERR_ARGUMENT);
    free(longer);

    struct retro_config config = good_config(), bad;
    CHECK(retro_open(NULL, NULL, &engine, msg, sizeof(msg)) == RETRO_ERR_ARGUMENT);
    CHECK(retro_open(&config, NULL, NULL, msg, sizeof(msg)) == RETRO_ERR_ARGUMENT);
    CHECK(retro_open(NULL, NULL, NULL, NULL, 0) == RETRO_ERR_ARGUMENT);
    for (size_t i = 0; i < sizeof(config)/4; i++) {
        uint32_t values[] = { 0, 0xffffffff, 0x7fffffff, 0x80000000 };
        for (int v = 0; v < 4; v++) {
            if (i == 0 && v > 0) continue; /* a larger struct is a newer caller's */
            if (i == offsetof(struct retro_config, whole)/4 && v == 0) continue;
            bad = config;
            ((uint32_t *) &bad)[i] = values[v];
            CHECK(retro_open(&bad, NULL, &engine, msg, sizeof(msg)) == RETRO_ERR_ARGUMENT && msg[0]);
        }
    }
    bad = config;
    bad.whole = 2;
    CHECK(retro_open(&bad, NULL, &engine, msg, sizeof(msg)) == RETRO_ERR_ARGUMENT && strstr(msg, "whole is 2"));

    /* handles that are none */
    uint64_t handles[] = { 0, 1, 0xffff, 0x10400, ~0ull, 0x7fffffffffffffff };
    struct retro_layer layer = good_layer();
    struct retro_row   row   = { 0, 0, 0 };
    struct retro_stats stats = { .struct_size = sizeof(stats) };
    attn = (struct retro_attn) { sizeof(attn), 0, 1, 1, q, out, sizeof(q[0]), sizeof(q[0][0]), sizeof(out[0]) };
    int32_t  zero = 0;
    uint64_t n    = 0;
    for (int i = 0; i < 6; i++) {
        uint64_t e = handles[i];
        CHECK(retro_close(e) == RETRO_ERR_STATE);
        CHECK(retro_add_layer(e, &layer) == RETRO_ERR_STATE);
        CHECK(retro_plan(e, NULL, msg, sizeof(msg)) == RETRO_ERR_STATE);
        CHECK(retro_max_window(e) == RETRO_ERR_STATE);
        CHECK(retro_plan_rows(e) == RETRO_ERR_STATE && retro_plan_threads(e) == RETRO_ERR_STATE);
        CHECK(retro_seq_next(e, 0) == RETRO_ERR_STATE);
        CHECK(retro_seq_extend(e, 0, 1, &zero, &zero) == RETRO_ERR_STATE);
        CHECK(retro_seq_truncate(e, 0, 0) == RETRO_ERR_STATE);
        CHECK(retro_seq_copy(e, 0, 1, 1, 0) == RETRO_ERR_STATE);
        CHECK(retro_seq_save(e, 0, NULL, 0, NULL, 0, &n) == RETRO_ERR_STATE);
        CHECK(retro_seq_load(e, 0, msg, sizeof(msg), NULL, 0, &n) == RETRO_ERR_STATE);
        CHECK(retro_seq_window(e, 0, 0) == RETRO_ERR_STATE);
        CHECK(retro_step_begin(e, &row, 1, 1) == RETRO_ERR_STATE);
        CHECK(retro_select(e, &attn, 0, 1) == RETRO_ERR_STATE);
        CHECK(retro_attend(e, &attn, 0, 1) == RETRO_ERR_STATE);
        CHECK(retro_step_end(e, 1) == RETRO_ERR_STATE);
        CHECK(retro_get_stats(e, &stats) == RETRO_ERR_STATE);
        CHECK(retro_error(e, NULL, 0) >= 0);
    }

    CHECK(retro_open(&config, "target=speed,min_ctx=0", &engine, NULL, 0) == RETRO_OK);
    CHECK(retro_add_layer(engine, &layer) == RETRO_OK);
#define BAD_PASSES(field, value) do { struct retro_passes p = good_passes(); p.field = value; REFUSED(retro_plan(engine, &p, msg, sizeof(msg))); } while (0)
    BAD_PASSES(struct_size, 8);
    BAD_PASSES(n_thread, 0);
    BAD_PASSES(n_thread, N_THREAD + 1);
    BAD_PASSES(n_thread, 0xffffffff);
    BAD_PASSES(n, 4);
    BAD_PASSES(n, 9);
    BAD_PASSES(n, 0xffffffff);
    BAD_PASSES(rows[0], 2);
    BAD_PASSES(rows[1], 1);
    BAD_PASSES(rows[2], 0xffffffff);
    BAD_PASSES(ns[0], 0);
    BAD_PASSES(ns[2], ~0ull);
#define BAD_DEVICE(field, value) do { struct retro_passes p = good_passes(); p.device = 1; p.field = value; REFUSED(retro_plan(engine, &p, msg, sizeof(msg))); } while (0)
    BAD_DEVICE(n_step, 1);
    BAD_DEVICE(n_step, 9);
    BAD_DEVICE(n_step, 0xffffffff);
    BAD_DEVICE(n_batch, 1);
    BAD_DEVICE(n_batch, 9);
    BAD_DEVICE(n_batch, 0xffffffff);
    CHECK(retro_close(engine) == RETRO_OK);

    CHECK(retro_open(&config, "", &engine, NULL, 0) == RETRO_OK);
    REFUSED(retro_step_begin(engine, &row, 1, 1)); /* no layers */
    REFUSED(retro_add_layer(engine, NULL));
#define BAD_LAYER(field, value) do { struct retro_layer l = good_layer(); l.field = value; REFUSED(retro_add_layer(engine, &l)); } while (0)
    BAD_LAYER(struct_size, 8);
    BAD_LAYER(layer, 1);
    BAD_LAYER(layer, 0xffffffff);
    BAD_LAYER(type_k, 3);
    BAD_LAYER(type_k, RETRO_TYPE_F32); /* larger than the cache */
    BAD_LAYER(soft_cap, -1);
    BAD_LAYER(soft_cap, NAN);
    BAD_LAYER(type_v, 0xffffffff);
    BAD_LAYER(n_head, 0);
    BAD_LAYER(n_head, 3);
    BAD_LAYER(n_head, 0xfffffffe);
    BAD_LAYER(n_head_kv, 0);
    BAD_LAYER(n_head_kv, 0xffffffff);
    BAD_LAYER(d_k, 0);
    BAD_LAYER(d_k, 12);
    BAD_LAYER(d_v, 0xfffffff8);
    BAD_LAYER(k, NULL);
    BAD_LAYER(v, NULL);
    BAD_LAYER(k_size, sizeof(cache_k) - 1);
    BAD_LAYER(v_size, 0);
    BAD_LAYER(k_row, 0);
    BAD_LAYER(k_row, ~0ull);
    BAD_LAYER(v_row, ~0ull/N_CELL);
    BAD_LAYER(k_head, ~0ull);
    BAD_LAYER(v_head, 1ull << 63);
    CHECK(retro_add_layer(engine, &layer) == RETRO_OK);

    REFUSED(retro_seq_next(engine, -1));
    REFUSED(retro_seq_next(engine, 2));
    REFUSED(retro_seq_extend(engine, 0, 1, NULL, &zero));
    REFUSED(retro_seq_extend(engine, 0, 1, &zero, NULL));
    REFUSED(retro_seq_extend(engine, 0, 0xffffffff, &zero, &zero));
    REFUSED(retro_seq_extend(engine, 7, 1, &zero, &zero));
    int32_t beyond = N_CELL, below = -5;
    REFUSED(retro_seq_extend(engine, 0, 1, &zero, &beyond));
    REFUSED(retro_seq_extend(engine, 0, 1, &below, &zero));
    REFUSED(retro_seq_truncate(engine, -2, 0));
    REFUSED(retro_seq_copy(engine, 0, 2, 0, 0));
    REFUSED(retro_seq_copy(engine, -1, 1, 0, 0));
    REFUSED(retro_seq_save(engine, 0, NULL, 0, msg, sizeof(msg), NULL));
    REFUSED(retro_seq_save(engine, 0, NULL, 1, msg, sizeof(msg), &n));
    REFUSED(retro_seq_save(engine, 0, msg, ~0ull, msg, sizeof(msg), &n));
    REFUSED(retro_seq_save(engine, 0, NULL, 0, msg, ~0ull, &n));
    REFUSED(retro_seq_save(engine, 2, NULL, 0, msg, sizeof(msg), &n));
    REFUSED(retro_seq_load(engine, 0, NULL, 8, NULL, 0, &n));
    REFUSED(retro_seq_load(engine, 0, msg, ~0ull, NULL, 0, &n));
    REFUSED(retro_seq_load(engine, 0, msg, 0, NULL, 0, &n));
    REFUSED(retro_seq_load(engine, 0, msg, sizeof(msg), NULL, 1, &n));
    REFUSED(retro_seq_load(engine, 0, msg, sizeof(msg), NULL, 0, NULL));
    REFUSED(retro_seq_load(engine, 0, msg, sizeof(msg), NULL, 0, &n));
    REFUSED(retro_seq_window(engine, 99, 0));
    REFUSED(retro_step_begin(engine, NULL, 1, 1));
    REFUSED(retro_step_begin(engine, &row, 0xffffffff, 1));
    REFUSED(retro_step_begin(engine, &row, 1, 0));
    REFUSED(retro_step_begin(engine, &row, 1, 0xffffffff));
    REFUSED(retro_select(engine, &attn, 0, 1)); /* no step */
    REFUSED(retro_attend(engine, &attn, 0, 1));
    REFUSED(retro_step_end(engine, 1));
    CHECK(retro_step_begin(engine, NULL, 0, N_THREAD) == RETRO_OK);
    REFUSED(retro_step_begin(engine, NULL, 0, 1));
    REFUSED(retro_select(engine, &attn, 0, 1)); /* of a row */
    attn.n_row = 0;
    REFUSED(retro_attend(engine, &attn, 0, 1));
    attn.n_row = 1;
    CHECK(retro_step_end(engine, 0) == RETRO_OK);
    CHECK(retro_step_begin(engine, &row, 1, N_THREAD) == RETRO_OK);
    REFUSED(retro_step_begin(engine, &row, 1, 1));
    REFUSED(retro_seq_truncate(engine, 0, 0));
    REFUSED(retro_select(engine, NULL, 0, 1));
    REFUSED(retro_attend(engine, NULL, 0, 1));
    REFUSED(retro_select(engine, &attn, 1, 1));
    REFUSED(retro_select(engine, &attn, 0, 0));
    REFUSED(retro_attend(engine, &attn, 0xffffffff, 0xffffffff));
#define BAD_ATTN(field, value) do { struct retro_attn a = attn; a.field = value; \
        REFUSED(retro_select(engine, &a, 0, 1)); REFUSED(retro_attend(engine, &a, 0, 1)); } while (0)
#define REFUSED_OUT(field, value) do { struct retro_attn a = attn; a.field = value; REFUSED(retro_attend(engine, &a, 0, 1)); } while (0)
    BAD_ATTN(struct_size, 4);
    BAD_ATTN(layer, 1);
    BAD_ATTN(layer, 0xffffffff);
    BAD_ATTN(n_row, 0);
    BAD_ATTN(n_row, 2);
    BAD_ATTN(n_row, 0xffffffff);
    BAD_ATTN(q, NULL);
    REFUSED_OUT(out, NULL);
    BAD_ATTN(q_row, ~0ull);
    BAD_ATTN(q_head, ~0ull);
    BAD_ATTN(q_head, 4);
    REFUSED_OUT(out_row, 4);
    REFUSED_OUT(out_row, ~0ull);
    BAD_ATTN(q, (void *) 0x10); /* a fault of the library's, not of the process */
    CHECK(retro_step_end(engine, 0) == RETRO_OK);
    REFUSED(retro_get_stats(engine, NULL));
    stats.struct_size = 7;
    REFUSED(retro_get_stats(engine, &stats));
    CHECK(retro_report(RETRO_REPORT_LINE, &stats, NULL, msg, sizeof(msg)) == RETRO_ERR_ARGUMENT);
    stats.struct_size = sizeof(stats);
    CHECK(retro_report(RETRO_REPORT_LINE, &stats, (void *) 0x10, msg, sizeof(msg)) == RETRO_ERR_INTERNAL);
    CHECK(retro_report(RETRO_REPORT_LINE, NULL, &stats, msg, sizeof(msg)) == RETRO_ERR_ARGUMENT);
    CHECK(retro_report(3, &stats, NULL, msg, sizeof(msg)) == RETRO_ERR_ARGUMENT && retro_report(-1, &stats, NULL, msg, 1) == RETRO_ERR_ARGUMENT);
    CHECK(retro_error(0, msg, sizeof(msg)) > 0 && strstr(msg, "form -1"));
    CHECK(retro_report(RETRO_REPORT_LINE, &stats, NULL, NULL, 100) > 0);
    CHECK(retro_close(engine) == RETRO_OK);
    CHECK(retro_close(engine) == RETRO_ERR_STATE);
}

int main(int argc, char ** argv) {
    for (int c = 0; c < N_CELL; c++)
        for (int h = 0; h < N_KV; h++)
            for (int i = 0; i < D; i++) { cache_k[c][h][i] = f16(number()); cache_v[c][h][i] = f16(number()); }
    for (int h = 0; h < N_HEAD; h++)
        for (int i = 0; i < D; i++) q[0][h][i] = q[1][h][i] = number();
    CHECK(strlen(retro_version()) > 0);
    CHECK(retro_abi_version() == RETRO_ABI_VERSION);
    struct retro_config other = good_config();
    char sentence[256] = "";
    other.abi_version = 77;
    CHECK(retro_open(&other, "", &engine, sentence, sizeof(sentence)) == RETRO_ERR_ARGUMENT && strstr(sentence, "built for version 77 of the interface"));
    CHECK(argc < 2 || strstr(retro_version(), argv[1])); /* the instruction set to expect */
    use("budget=512,window=2,period=1", 0);
    use("budget=64,window=2,period=1,min_ctx=0", 1);
    plan();
    device();
    garbage();
    for (int i = 0; i < 200; i++) use(i % 2 ? "budget=64,window=2,period=1,min_ctx=0" : "budget=15%,window=2,period=2", i % 2); /* opens and closes */
    printf(failures ? "%d failures\n" : "ok\n", failures);
    return failures != 0;
}
