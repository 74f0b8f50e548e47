/* Plays streams of bytes as calls to libretroattn: rightly most of the time, then with wrong arguments, stale
 * handles, and from several threads at once. Whatever comes, no call may crash, reach beyond the memory that it is
 * given (guard pages lie around it, and what is const is read-only), or say "defect" where the arguments were right.
 *
 *     events FILE ...
 *
 * prints the name of each stream before it is played; exit status 0 if all is well. */
#include "retroattn.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ENGINES = 3, LAYERS = 2, SEQS = 3, ROWS = 64*SEQS, THREADS = 3, MAX_SAVED = 1 << 22, BIG = 1 << 25 };

#define COUNT(a) (sizeof(a)/sizeof((a)[0]))

static void die(const char * what, int32_t code, uint64_t engine) {
    char msg[512] = "";
    retro_error(engine, msg, sizeof(msg));
    printf("FAILED: %s: %d: %s\n", what, code, msg);
    fflush(stdout);
    _exit(3);
}

/* the stream */

static const uint8_t * at, * end;

static unsigned byte(void) { return at < end ? *at++ : 0; }
static unsigned word(void) { unsigned x = byte(); return x << 8 | byte(); }
static unsigned below(unsigned n) { return (n > 256 ? word() : byte()) % n; }

/* memory: a region between two pages that fault on any access, and one that is read-only */

static size_t page_size;

static void * region(size_t size) {
    const size_t inner = (size + page_size - 1)/page_size*page_size;
    char * p = mmap(NULL, inner + 2*page_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED || mprotect(p + page_size, inner, PROT_READ | PROT_WRITE)) { perror("mmap"); _exit(4); }
    return p + page_size;
}

/* place is size bytes in a region of a whole number of pages, up against its end or its beginning, or anywhere */
static void * place(void * base, size_t room, size_t size) {
    switch (below(4)) {
        case 0:  return base;
        case 1:  return (char *) base + (room - size > 37 ? 37 : 0);
        default: return (char *) base + (room - size);
    }
}

static char * scratch, * constant, * guard; /* rooms of 64 KiB, one page, and nothing */
static char * big_q, * big_out, * saved;
static uint64_t saved_size;

/* fixed lets a call see the struct, which it may not write to */
static const void * fixed(const void * data, size_t size) {
    mprotect(constant, page_size, PROT_READ | PROT_WRITE);
    char * p = constant + page_size - size;
    memcpy(p, data, size);
    mprotect(constant, page_size, PROT_READ);
    return p;
}

/* engines */

static struct { uint64_t events, steps, loads, storms, tokens, sparse, corrected; } done;

struct host {
    uint64_t handle;
    struct retro_config config;
    struct retro_layer  layer[LAYERS];
    size_t   room[LAYERS][2];
    void *   memory[LAYERS][2]; /* regions of keys and values */
    int      right;             /* opened, and all layers are as they should be */
};

static struct host hosts[ENGINES];

static const char * const options[] = {
    "", NULL, "budget=64,min_ctx=0,local=16,select=pages,page=8", "budget=0.2,min_ctx=0,local=16,code_bits=1,candidates=2,window=4,period=2", "budget=32,min_ctx=0,local=32,window=8,period=8",
    "budget=32,min_ctx=0,local=32,layer_budget=0:all", "budget=64,min_ctx=0,local=32,groups=1,audit=1", "budget=1000000,window=3,always=1",
    "select=oracle,min_ctx=0,budget=32,local=32,audit=2", "select=minmax,summary_bits=16,min_ctx=0,budget=64,local=16,correct_budget=128,window=2",
    "select=streaming,min_ctx=0", "select=minmax,min_ctx=0,budget=48,window=16,local=16,page=8", "target=speed,min_ctx=0", "target=quality,plan=plan.json", "plan_cache=cache.json",
};

static float number(unsigned x) { return (float) ((int) (x*2654435761u >> 24) - 128)/128; }

/* fill writes numbers from -1 to 1 of every type that a cache can have */
static void fill(uint8_t * p, size_t n, uint32_t type) {
    if (type == RETRO_TYPE_F32) {
        for (size_t i = 0; i + 4 <= n; i += 4) { float x = number(i); memcpy(p + i, &x, 4); }
    } else if (type == RETRO_TYPE_F16 || type == RETRO_TYPE_BF16) {
        for (size_t i = 0; i + 2 <= n; i += 2) {
            const uint16_t r = i*40503u >> 3, x = type == RETRO_TYPE_F16 ? (r & 0x83ff) | 0x3800 : (r & 0x807f) | 0x3f00; /* 0.5 to 1 and negative */
            memcpy(p + i, &x, 2);
        }
    } else {
        const size_t block = type == RETRO_TYPE_Q8_0 ? 34 : 18;
        for (size_t i = 0; i < n; i++) p[i] = i % block == 0 ? 0 : i % block == 1 ? (type == RETRO_TYPE_Q8_0 ? 0x20 : 0x2c) : (uint8_t) (i*37);
    }
}

static size_t row_bytes(uint32_t type, size_t d) {
    switch (type) {
        case RETRO_TYPE_F32:  return 4*d;
        case RETRO_TYPE_Q4_0: return d/32*18;
        case RETRO_TYPE_Q8_0: return d/32*34;
        default:              return 2*d;
    }
}

static void close_host(struct host * h) {
    if (h->right || h->memory[0][0]) {
        struct retro_stats stats = { .struct_size = sizeof(stats) };
        if (retro_get_stats(h->handle, &stats) == RETRO_OK)
            done.tokens += stats.tokens, done.sparse += stats.sparse_tokens, done.corrected += stats.corrected_tokens;
        const int32_t code = retro_close(h->handle);
        if (h->right && code) die("close", code, 0);
    }
    for (int l = 0; l < LAYERS; l++)
        for (int i = 0; i < 2; i++)
            if (h->memory[l][i]) munmap((char *) h->memory[l][i] - page_size, h->room[l][i] + 2*page_size);
    memset(h->memory, 0, sizeof(h->memory));
    h->right = 0; /* the handle stays, as a stale one */
}

static void add_layers(struct host * h) {
    static const uint32_t types[] = { RETRO_TYPE_F16, RETRO_TYPE_F32, RETRO_TYPE_BF16, RETRO_TYPE_Q8_0, RETRO_TYPE_Q4_0 };
    static float sinks[64];
    for (uint32_t i = 0; i < h->config.n_layer; i++) {
        struct retro_layer * l = &h->layer[i];
        memset(l, 0, sizeof(*l));
        l->struct_size = sizeof(*l);
        l->layer  = i;
        l->type_k = types[below(COUNT(types))];
        l->type_v = types[below(COUNT(types))];
        l->n_head_kv = 1 + below(3);
        l->n_head = l->n_head_kv*(1 + below(4));
        l->d_k = 32*(1 + below(2));
        l->d_v = 32*(1 + below(3));
        l->k_head = row_bytes(l->type_k, l->d_k);
        l->v_head = row_bytes(l->type_v, l->d_v);
        l->k_row = l->n_head_kv*l->k_head;
        l->v_row = l->n_head_kv*l->v_head;
        l->k_size = h->config.n_cell*l->k_row;
        l->v_size = h->config.n_cell*l->v_row;
        l->soft_cap = below(4) ? 0 : 3;
        l->rot_k = below(4) ? 0 : 32;
        l->sinks = below(4) ? NULL : sinks;
        for (int v = 0; v < 2; v++) {
            const size_t size = v ? l->v_size : l->k_size;
            h->room[i][v] = (size + page_size - 1)/page_size*page_size;
            h->memory[i][v] = region(size);
            uint8_t * p = (uint8_t *) h->memory[i][v] + (h->room[i][v] - size); /* so that the last cell ends at the guard */
            fill(p, size, v ? l->type_v : l->type_k);
            mprotect(h->memory[i][v], h->room[i][v], PROT_READ);
            if (v) l->v = p; else l->k = p;
        }
        const int32_t code = retro_add_layer(h->handle, fixed(l, sizeof(*l)));
        if (code) die("add_layer", code, h->handle);
    }
}

static void open_host(struct host * h) {
    close_host(h);
    const uint32_t n_layer = 1 + below(LAYERS);
    h->config = (struct retro_config) { sizeof(h->config), RETRO_ABI_VERSION, n_layer, SEQS, 200 + below(1500), ROWS, THREADS };
    const char * text = options[below(COUNT(options))];
    char * msg = scratch + 65536 - 100;
    const int32_t code = retro_open(fixed(&h->config, sizeof(h->config)), text, &h->handle, msg, 100);
    if (code) die("open", code, 0);
    add_layers(h);
    h->right = 1;
}

/* positions lie in the same cells in all sequences, so that copies are right */
static int32_t cell_of(const struct host * h, int32_t pos) { return (int32_t) ((uint32_t) pos*7u % h->config.n_cell); }

/* expect is for calls whose arguments are right: refusing them for the state the engine is in is fine, a defect is not */
static int32_t expect(const char * what, const struct host * h, int32_t code) {
    if (code == RETRO_ERR_INTERNAL && h->right) die(what, code, h->handle);
    return code;
}

static void extend(struct host * h) {
    static int32_t pos[2000], cell[2000];
    const int32_t seq = below(SEQS), next = retro_seq_next(h->handle, seq), n = below(2) ? below(900) : below(4);
    if (next < 0 || next + n > (int32_t) h->config.n_cell) return;
    for (int32_t i = 0; i < n; i++) { pos[i] = next + i; cell[i] = cell_of(h, pos[i]); }
    expect("extend", h, retro_seq_extend(h->handle, seq, n, pos, cell));
}

/* threads of one phase */

struct phase { const struct host * h; const struct retro_attn * attn; uint32_t ith, nth; int attend; int32_t code; };

static void * run_phase(void * arg) {
    struct phase * p = arg;
    p->code = (p->attend ? retro_attend : retro_select)(p->h->handle, p->attn, p->ith, p->nth);
    return NULL;
}

static int32_t phase(const struct host * h, const struct retro_attn * attn, uint32_t nth, int attend) {
    struct phase p[THREADS];
    pthread_t t[THREADS];
    const int threads = nth > 1 && below(4) == 0; /* else one after another, which is the same to the library */
    int32_t worst = 0;
    for (uint32_t i = 0; i < nth; i++) {
        p[i] = (struct phase) { h, attn, i, nth, attend, 0 };
        if (threads) pthread_create(&t[i], NULL, run_phase, &p[i]); else run_phase(&p[i]);
    }
    for (uint32_t i = 0; i < nth; i++) {
        if (threads) pthread_join(t[i], NULL);
        if (p[i].code < worst) worst = p[i].code;
    }
    return worst;
}

static struct retro_attn good_attn(const struct host * h, uint32_t layer, uint32_t rows) {
    const struct retro_layer * l = &h->layer[layer];
    struct retro_attn a = { sizeof(a), layer, rows, 0.2f, NULL, NULL, 4*(uint64_t) l->n_head*l->d_k, 4*(uint64_t) l->d_k, 4*(uint64_t) l->n_head*l->d_v };
    const size_t q_size = rows*a.q_row, out_size = rows*a.out_row;
    char * q = place(big_q, BIG, q_size); /* also at odd addresses */
    for (size_t i = 0; i < q_size; i += 4) { float x = 3*number(i + 77*rows); memcpy(q + i, &x, 4); }
    a.q = q;
    a.out = place(big_out, BIG, out_size);
    memset(a.out, 0xff, out_size); /* not numbers */
    return a;
}

/* outputs are means of values, which are from -1 to 1 */
static void check_out(const struct host * h, const struct retro_attn * a) {
    const struct retro_layer * l = &h->layer[a->layer];
    for (uint32_t r = 0; r < a->n_row; r++)
        for (uint32_t i = 0; i < l->n_head*l->d_v; i++) {
            float x;
            memcpy(&x, (char *) a->out + r*a->out_row + 4*i, 4);
            if (!(fabsf(x) <= 1.001f)) { printf("layer %u row %u [%u] is %g\n", a->layer, r, i, x); die("attend", 0, h->handle); }
        }
}

/* the rows of the step, or -1 */
static int32_t begin(struct host * h, uint32_t nth) {
    static struct retro_row rows[ROWS];
    uint32_t n = 0;
    for (int32_t seq = 0; seq < SEQS; seq++) {
        const int32_t next = retro_seq_next(h->handle, seq);
        if (below(3) == 0 || next < 0) continue;
        const int32_t past = retro_seq_window(h->handle, seq, next);
        for (int32_t i = past; i >= 0; i--) rows[n++] = (struct retro_row) { seq, next - i, cell_of(h, next - i) };
    }
    const struct retro_row * at_end = memcpy(scratch + 65536 - n*sizeof(rows[0]), rows, n*sizeof(rows[0]));
    return expect("step_begin", h, retro_step_begin(h->handle, at_end, n, nth)) == RETRO_OK ? (int32_t) n : -1;
}

static void step(struct host * h) {
    const uint32_t nth = 1 + below(THREADS);
    const int32_t n = begin(h, nth);
    if (n < 0) return;
    int complete = 1;
    for (uint32_t layer = 0; layer < h->config.n_layer; layer++) {
        struct retro_attn a = good_attn(h, layer, n);
        const struct retro_attn * fix = fixed(&a, sizeof(a));
        const unsigned how = byte();
        const int32_t selected = how == 1 ? -1 : expect("select", h, phase(h, fix, nth, 0));
        if (how == 2) expect("select", h, phase(h, fix, nth, 0));
        if (how == 3) { complete = 0; continue; }
        const int32_t attended = n == 0 ? RETRO_OK : expect("attend", h, phase(h, fix, nth, 1));
        if (selected || attended) complete = 0;
        if (complete && h->right) check_out(h, &a);
        if (complete && (selected || attended)) die("phase", attended, h->handle);
    }
    done.steps += complete;
    expect("step_end", h, retro_step_end(h->handle, complete && below(8)));
}

static void save_load(struct host * h) {
    const int32_t seq = below(SEQS);
    uint64_t n = 0;
    char note[8] = "12345678";
    if (below(4)) { /* else what some engine saved before */
        if (expect("save", h, retro_seq_save(h->handle, seq, note, sizeof(note), saved, MAX_SAVED, &n))) return;
        saved_size = n;
    }
    uint64_t size = saved_size;
    char * data = scratch; /* a copy up against the guard */
    if (size <= 65536) data = memcpy(scratch + 65536 - size, saved, size); else data = saved;
    for (unsigned k = below(2)*below(4); k > 0 && size > 0; k--) data[(word()*33u) % size] ^= 1 << below(8);
    if (below(4) == 0) size = size*below(200)/200;
    done.loads += expect("load", h, retro_seq_load(h->handle, seq, data, size, note, below(9), &n)) == RETRO_OK;
}

/* wrong arguments */

static void * wild_pointer(void) {
    void * const pool[] = { NULL, (void *) 1, (void *) 0x10, guard, guard - 3, constant, scratch, scratch + 65536 - 5, (void *) ~(uintptr_t) 0, (void *) ((uintptr_t) 1 << 47), (void *) ((uintptr_t) 1 << 63) };
    return pool[below(COUNT(pool))];
}

static uint64_t wild_number(void) {
    static const uint64_t pool[] = { 0, 1, 2, 3, 4, 7, 8, 31, 32, 64, 100, 1023, 1024, 1025, 4096, 65535, 65536, 1 << 20, 1 << 27, (1 << 27) + 1,
        0x7fffffff, 0x80000000, 0xffffffff, 1ull << 32, 1ull << 40, (1ull << 40) + 1, 1ull << 62, 1ull << 63, ~0ull, ~0ull - 7 };
    return pool[below(COUNT(pool))];
}

static uint64_t wild_handle(void) { return below(4) ? hosts[below(ENGINES)].handle : wild_number(); }

/* wild_layer is a layer with a wrong field in an engine that is not used for anything else */
static void wild_layer(void) {
    struct host h = { 0 };
    h.config = (struct retro_config) { sizeof(h.config), RETRO_ABI_VERSION, 1, SEQS, 200 + below(300), ROWS, THREADS };
    if (retro_open(&h.config, options[2 + below(10)], &h.handle, NULL, 0)) die("open", 0, 0);
    add_layers(&h);
    struct retro_layer * l = &h.layer[0];
    for (unsigned k = 1 + below(3); k > 0; k--) {
        uint32_t * const numbers[] = { &l->struct_size, &l->layer, &l->type_k, &l->type_v, &l->n_head, &l->n_head_kv, &l->d_k, &l->d_v, &l->rot_k };
        uint64_t * const sizes[] = { &l->k_size, &l->v_size, &l->k_row, &l->v_row, &l->k_head, &l->v_head };
        switch (below(4)) {
            case 0: *numbers[below(COUNT(numbers))] = (uint32_t) wild_number(); break;
            case 1: *sizes[below(COUNT(sizes))] = wild_number(); break;
            case 2: l->k = wild_pointer(); break;
            case 3: l->sinks = wild_pointer(); break;
        }
    }
    if (retro_add_layer(h.handle, l) == RETRO_OK && l->layer == 0 && (uint64_t) l->n_head*l->d_v*4*8 <= BIG && (uint64_t) l->n_head*l->d_k*4*8 <= BIG) {
        static int32_t pos[150];
        for (int i = 0; i < 150; i++) pos[i] = i;
        retro_seq_extend(h.handle, 0, 150, pos, pos);
        const struct retro_row row = { 0, 150, 150 };
        struct retro_attn a = good_attn(&h, 0, 1);
        if (retro_step_begin(h.handle, &row, 1, 1) == RETRO_OK) {
            phase(&h, &a, 1, 0);
            phase(&h, &a, 1, 1);
            retro_step_end(h.handle, 1);
        }
    }
    close_host(&h);
}

static void wild_attn(struct host * h) {
    const int32_t n = begin(h, THREADS);
    if (n < 0) return;
    for (int i = 0; i < 4; i++) {
        struct retro_attn a = good_attn(h, below(h->config.n_layer), n);
        switch (below(8)) {
            case 0: a.q = wild_pointer(); break;
            case 1: a.out = wild_pointer(); break;
            case 2: a.q_row = wild_number(); break;
            case 3: a.q_head = wild_number(); break;
            case 4: a.out_row = below(2) ? ~0ull : 4; break; /* others may be right, and lead anywhere */
            case 5: a.n_row = (uint32_t) wild_number(); break;
            case 6: a.layer = (uint32_t) wild_number(); break;
            case 7: a.struct_size = (uint32_t) wild_number(); break;
        }
        const uint32_t nth = (uint32_t) wild_number(), ith = below(2) ? 0 : (uint32_t) wild_number();
        (below(2) ? retro_select : retro_attend)(h->handle, &a, ith, nth);
    }
    retro_step_end(h->handle, below(2));
}

static void spoil(uint64_t handle) {
    for (int i = 0; i < ENGINES; i++)
        if (hosts[i].handle == handle) hosts[i].right = 0;
}

static void wild(void) {
    const uint64_t e = wild_handle();
    const int32_t  seq = (int32_t) wild_number(), pos = (int32_t) wild_number();
    const uint32_t n = (uint32_t) wild_number(), cap = below(2) ? 50 : (uint32_t) wild_number();
    void * p = wild_pointer(), * q = wild_pointer(), * r = wild_pointer();
    uint64_t size;
    switch (below(20)) {
        case 0:  retro_check_options(p, q, cap); break;
        case 1:  if (retro_open(p, q, r, scratch, cap) == RETRO_OK && r == scratch) { memcpy(&size, r, 8); retro_close(size); } break;
        case 2:  if (retro_add_layer(e, p) == RETRO_OK) spoil(e); break;
        case 3:  if (p) retro_plan(e, p, q, cap); break;
        case 4:  retro_max_window(e); retro_plan_rows(e); retro_plan_threads(e); break;
        case 5:  retro_seq_next(e, seq); break;
        case 6:  retro_seq_extend(e, seq, n, p, q); break;
        case 7:  retro_seq_truncate(e, seq, pos); break;
        case 8:  retro_seq_copy(e, seq, below(SEQS), pos, (int32_t) wild_number()); break;
        case 9:  retro_seq_save(e, below(SEQS), p, wild_number(), q, wild_number(), r); break;
        case 10: retro_seq_load(e, below(SEQS), p, wild_number(), q, wild_number(), r); break;
        case 11: retro_seq_window(e, seq, pos); break;
        case 12: retro_step_begin(e, p, n, (uint32_t) wild_number()); break;
        case 13: retro_select(e, p, (uint32_t) wild_number(), n); break;
        case 14: retro_attend(e, p, (uint32_t) wild_number(), n); break;
        case 15: retro_step_end(e, below(2)); break;
        case 16: retro_get_stats(e, p); break;
        case 17: retro_report((int32_t) below(4), p, q, r, cap); break;
        case 18: retro_error(e, p, cap); break;
        case 19: retro_check_options((char *) at, q, cap); break; /* behind the stream is a NUL */
    }
    for (int i = 0; i < ENGINES; i++) retro_step_end(hosts[i].handle, 0);
}

/* several threads do as they please */

struct storm { struct host * h; struct retro_attn attn[LAYERS]; uint32_t rows, seed; };

static void * storm_thread(void * arg) {
    const struct storm * s = arg;
    uint32_t x = s->seed;
    struct retro_stats stats = { .struct_size = sizeof(stats) };
    for (int i = 0; i < 60; i++) {
        x = x*1664525u + 1013904223u;
        const uint32_t r = x >> 16, layer = r % s->h->config.n_layer;
        switch (r/8 % 16) {
            case 0: retro_seq_truncate(s->h->handle, 0, r % 512); break;
            case 1: retro_get_stats(s->h->handle, &stats); break;
            case 2: retro_step_end(s->h->handle, 0); break;
            case 3: retro_seq_window(s->h->handle, 1, 1000); break;
            case 4: if (x >> 28 == 0) retro_close(s->h->handle); break;
            case 5: case 6: case 7: case 8: case 9: retro_select(s->h->handle, &s->attn[layer], r/256 % THREADS, THREADS); break;
            default: retro_attend(s->h->handle, &s->attn[layer], r/256 % THREADS, THREADS); break;
        }
    }
    return NULL;
}

static void storm(struct host * h) {
    const int32_t n = begin(h, THREADS);
    if (n < 0) return;
    done.storms++;
    struct storm s[THREADS];
    pthread_t t[THREADS];
    for (uint32_t l = 0; l < h->config.n_layer; l++) s[0].attn[l] = good_attn(h, l, n);
    for (int i = 0; i < THREADS; i++) {
        s[i] = s[0];
        s[i].h = h, s[i].rows = n, s[i].seed = word()*65536u + word();
        pthread_create(&t[i], NULL, storm_thread, &s[i]);
    }
    for (int i = 0; i < THREADS; i++) pthread_join(t[i], NULL);
    struct retro_stats stats = { .struct_size = sizeof(stats) };
    if (retro_get_stats(h->handle, &stats)) h->right = 0; /* closed */
    retro_step_end(h->handle, 0);
    if (h->right) retro_seq_truncate(h->handle, -1, 0);
}

static void report(struct host * h) {
    struct retro_stats stats = { .struct_size = sizeof(stats) };
    expect("stats", h, retro_get_stats(h->handle, &stats));
    expect("report", h, retro_report((int32_t) below(3), &stats, NULL, scratch + 65536 - 40, 40));
}

static void play(void) {
    while (at < end) {
        struct host * h = &hosts[below(ENGINES)];
        if (!h->right) open_host(h);
        done.events++;
        switch (below(32)) {
            case 0:  if (byte() & 1) open_host(h); else storm(h); break;
            case 1:  if (byte() & 1) close_host(h); else save_load(h); break;
            case 2: case 3: case 4: case 5: case 6: extend(h); break;
            case 7:  expect("truncate", h, retro_seq_truncate(h->handle, (int32_t) below(SEQS) - (below(4) == 0), (int32_t) below(1500))); break;
            case 8:  expect("copy", h, retro_seq_copy(h->handle, below(SEQS), below(SEQS), (int32_t) below(2000), 0)); break;
            case 9: case 10: case 11: save_load(h); break;
            case 12: expect("plan", h, retro_plan(h->handle, NULL, scratch, 100)); break;
            case 13: report(h); break;
            case 14: wild_layer(); break;
            case 15: wild_attn(h); h->right = h->right && retro_seq_truncate(h->handle, -1, 0) == RETRO_OK; break;
            case 16: case 17: case 18: wild(); break;
            default: step(h); break;
        }
    }
    for (int i = 0; i < ENGINES; i++) close_host(&hosts[i]);
}

#define U(field) ((unsigned long long) done.field)

int main(int argc, char ** argv) {
    page_size = sysconf(_SC_PAGESIZE);
    scratch = region(65536);
    constant = region(page_size);
    mprotect(constant, page_size, PROT_READ);
    guard = (char *) region(page_size) + page_size;
    big_q = region(BIG), big_out = region(BIG), saved = region(MAX_SAVED);
    for (int i = 1; i < argc; i++) {
        static uint8_t data[1 << 16];
        FILE * f = fopen(argv[i], "rb");
        if (!f) { perror(argv[i]); return 4; }
        const size_t n = fread(data, 1, sizeof(data) - 1, f);
        fclose(f);
        data[n] = 0;
        at = data, end = data + n;
        printf("%s\n", argv[i]);
        fflush(stdout);
        play();
    }
    printf("ok: %llu events, %llu steps, %llu tokens, %llu sparse, %llu corrected, %llu loads, %llu storms\n", U(events), U(steps), U(tokens), U(sparse), U(corrected), U(loads), U(storms));
    return 0;
}
