/* Sparse decode attention in an engine of your own: this program has a KV cache in plain arrays and no llama.cpp.
 *
 *     cc -std=c11 -O2 decode.c -o decode $(pkg-config --cflags --libs retroattn) -lm
 *
 * It decodes some hundred tokens after a long "prompt" twice, first reading everything, then with a budget, and compares
 * both with attention of its own. There is no model: keys and values are random, but neighbours have similar keys, and a
 * query asks for one earlier passage. A real engine computes q, k and v where random_token does it here. */
#include <retroattn.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    N_LAYER  = 2,
    N_HEAD   = 8,
    N_KV     = 2,    /* KV heads, each shared by N_HEAD/N_KV query heads */
    D        = 64,   /* size of a head */
    N_PROMPT = 2000,
    N_DECODE = 300,
    N_CELL   = N_PROMPT + N_DECODE,
    WINDOW   = 2     /* each token is computed again beside the next one, with the pages that one loads */
};

static float cache_k[N_LAYER][N_CELL][N_KV][D], cache_v[N_LAYER][N_CELL][N_KV][D];
static float query[N_CELL][N_LAYER][N_HEAD][D];
static float output[N_CELL][N_LAYER][N_HEAD][D];

static uint64_t engine; /* handle of the library */

/* Every call returns a status; retro_error has the sentence. */
static int32_t must(int32_t status) {
    char text[512];
    if (status >= 0) return status;
    retro_error(engine, text, sizeof(text));
    fprintf(stderr, "decode: %s\n", text);
    exit(1);
}

static float noise(void) { /* about normal, the same on every run */
    static uint32_t seed = 1;
    float sum = 0;
    for (int i = 0; i < 4; i++) {
        seed = seed*1664525u + 1013904223u;
        sum += (float) (seed >> 8)/(1 << 24) - 0.5f;
    }
    return sum*1.7f;
}

/* Stands for the model: writes k and v of the token at pos into its cell, and its queries. */
static void random_token(int pos) {
    enum { PASSAGE = 24 };
    static float topic[N_LAYER][N_CELL/PASSAGE + 1][N_KV][D];
    const int passage = pos/PASSAGE;
    for (int l = 0; l < N_LAYER; l++) {
        for (int h = 0; h < N_KV; h++)
            for (int i = 0; i < D; i++) {
                if (pos%PASSAGE == 0) topic[l][passage][h][i] = noise();
                cache_k[l][pos][h][i] = topic[l][passage][h][i] + 0.5f*noise();
                cache_v[l][pos][h][i] = noise();
            }
        for (int h = 0; h < N_HEAD; h++) {
            const int kv = h/(N_HEAD/N_KV), wanted = (pos*7 + kv)%(passage + 1);
            for (int i = 0; i < D; i++) query[pos][l][h][i] = 1.5f*topic[l][wanted][kv][i] + 0.3f*noise();
        }
    }
}

static float scale(void) { return 1/sqrtf(D); }

/* What full attention gives for one head. */
static void exact(int pos, int l, int h, double * out) {
    static double p[N_CELL];
    const int kv = h/(N_HEAD/N_KV);
    double max = -INFINITY, sum = 0;
    for (int c = 0; c <= pos; c++) {
        p[c] = 0;
        for (int i = 0; i < D; i++) p[c] += (double) query[pos][l][h][i]*cache_k[l][c][kv][i];
        p[c] *= scale();
        if (p[c] > max) max = p[c];
    }
    for (int i = 0; i < D; i++) out[i] = 0;
    for (int c = 0; c <= pos; c++) {
        p[c] = exp(p[c] - max);
        sum += p[c];
        for (int i = 0; i < D; i++) out[i] += p[c]*cache_v[l][c][kv][i];
    }
    for (int i = 0; i < D; i++) out[i] /= sum;
}

/* How far the outputs of a token are from full attention, relative to their size. */
static double deviation(int pos) {
    double want[D], error = 0, size = 0;
    for (int l = 0; l < N_LAYER; l++)
        for (int h = 0; h < N_HEAD; h++) {
            exact(pos, l, h, want);
            for (int i = 0; i < D; i++) {
                error += pow(output[pos][l][h][i] - want[i], 2);
                size  += pow(want[i], 2);
            }
        }
    return sqrt(error/size);
}

/* An engine for one cache. The library reads keys and values where they are. */
static void open_engine(const char * options) {
    char text[512];
    struct retro_config config = { .struct_size = sizeof(config), .abi_version = RETRO_ABI_VERSION, .n_layer = N_LAYER,
        .n_seq = 1, .n_cell = N_CELL, .n_row = WINDOW, .n_thread = 1 };
    if (retro_open(&config, options, &engine, text, sizeof(text)) < 0) {
        fprintf(stderr, "decode: %s\n", text);
        exit(1);
    }
    for (int l = 0; l < N_LAYER; l++) {
        struct retro_layer layer = { .struct_size = sizeof(layer), .layer = (uint32_t) l,
            .type_k = RETRO_TYPE_F32, .type_v = RETRO_TYPE_F32, .n_head = N_HEAD, .n_head_kv = N_KV, .d_k = D, .d_v = D,
            .k = cache_k[l], .v = cache_v[l], .k_size = sizeof(cache_k[l]), .v_size = sizeof(cache_v[l]),
            .k_row = sizeof(cache_k[l][0]), .v_row = sizeof(cache_v[l][0]),
            .k_head = sizeof(cache_k[l][0][0]), .v_head = sizeof(cache_v[l][0][0]) };
        must(retro_add_layer(engine, &layer));
    }
}

/* The prompt is processed by the engine's own means; the library only learns which cells hold which positions. */
static void tell_prompt(void) {
    int32_t pos[N_PROMPT], cell[N_PROMPT];
    for (int i = 0; i < N_PROMPT; i++) pos[i] = cell[i] = i;
    must(retro_seq_extend(engine, 0, N_PROMPT, pos, cell));
}

/* One decode step: the new token at pos, behind the past tokens that are computed again. */
static void decode(int pos) {
    struct retro_row rows[WINDOW];
    const int past = must(retro_seq_window(engine, 0, pos)), first = pos - past;
    for (int r = 0; r <= past; r++) rows[r] = (struct retro_row) { .seq = 0, .pos = first + r, .cell = first + r };
    must(retro_step_begin(engine, rows, (uint32_t) past + 1, 1));
    for (int l = 0; l < N_LAYER; l++) {
        /* A model of several layers would now compute q, k and v of all rows from the outputs of the layer before. */
        struct retro_attn attn = { .struct_size = sizeof(attn), .layer = (uint32_t) l, .n_row = (uint32_t) past + 1, .scale = scale(),
            .q = query[first][l], .out = output[first][l], .q_row = sizeof(query[0]), .q_head = sizeof(query[0][0][0]),
            .out_row = sizeof(output[0]) };
        /* With more threads, each of them calls both, and a barrier lies between the calls and after the second. */
        must(retro_select(engine, &attn, 0, 1));
        must(retro_attend(engine, &attn, 0, 1));
    }
    must(retro_step_end(engine, 1));
}

struct figures {
    double deviation; /* mean over some tokens */
    double read;      /* share of the bytes that full attention reads */
    uint64_t sparse;
};

static struct figures run(const char * options) {
    struct figures f = { 0 };
    int n = 0;
    open_engine(options);
    tell_prompt();
    for (int pos = N_PROMPT; pos < N_CELL; pos++) decode(pos);
    for (int pos = N_PROMPT; pos < N_CELL; pos += 10, n++) f.deviation += deviation(pos);
    f.deviation /= n;
    struct retro_stats stats = { .struct_size = sizeof(stats) };
    char summary[512];
    must(retro_get_stats(engine, &stats));
    must(retro_report(RETRO_REPORT_LINE, &stats, NULL, summary, sizeof(summary)));
    f.read   = (double) stats.kv_read_bytes/(double) stats.kv_full_bytes;
    f.sparse = stats.sparse_tokens;
    printf("%-22s %5.1f %% of KV read, deviation %.6f\n  %s\n", options, 100*f.read, f.deviation, summary);
    must(retro_close(engine));
    engine = 0;
    return f;
}

int main(void) {
    printf("libretroattn %s: %d tokens after a prompt of %d\n", retro_version(), N_DECODE, N_PROMPT);
    for (int pos = 0; pos < N_CELL; pos++) random_token(pos);
    const struct figures all    = run("budget=all,window=2,period=1");
    const struct figures sparse = run("budget=256,window=2,period=1");
    if (all.deviation > 1e-5 || all.sparse != 0) {
        printf("FAILED: a budget for the whole context must give full attention\n");
        return 1;
    }
    if (sparse.sparse != N_DECODE || sparse.read > 0.5 || sparse.deviation > 0.2) {
        printf("FAILED: the budget must save reading, and keep what the queries ask for\n");
        return 1;
    }
    printf("ok\n");
    return 0;
}
