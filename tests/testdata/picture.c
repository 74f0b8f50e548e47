/* A text with pictures, whose tokens come as embeddings with positions of four dimensions.
 *
 *   picture MODEL OUT STATE
 *
 * The logits of the decoded tokens go to OUT: first of one sequence, then of it and a copy of it, then of it from where it
 * was when its state was written to STATE, before the last steps alone, in another context. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "llama.h"

#define CHECK(x) do { if (!(x)) { fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x); exit(1); } } while (0)

enum { SEQS = 2, TEXT = 300, WIDE = 12, HIGH = 9, MOST = 512, STEPS = 10 };

static FILE * out;
static int n_vocab, n_embd;
static int at[SEQS]; /* the next position */

static uint32_t noise(uint32_t x) {
    x ^= x >> 16; x *= 0x7feb352du; x ^= x >> 15; x *= 0x846ca68bu;
    return x ^ x >> 16;
}

static llama_token word(int seq, int pos) { return 5 + noise(977*seq + pos) % (n_vocab - 5); }

static struct llama_context * new_context(struct llama_model * model) {
    struct llama_context_params p = llama_context_default_params();
    p.n_ctx = 2048;
    p.n_batch = MOST;
    p.n_ubatch = 64;
    p.n_seq_max = SEQS;
    p.kv_unified = true;
    p.n_threads = p.n_threads_batch = 2;
    p.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_ENABLED;
    p.type_k = p.type_v = GGML_TYPE_F32;
    struct llama_context * ctx = llama_init_from_model(model, p);
    CHECK(ctx);
    return ctx;
}

static void text(struct llama_context * ctx, int seq, int n) {
    struct llama_batch b = llama_batch_init(n, 0, 1);
    for (b.n_tokens = 0; b.n_tokens < n; b.n_tokens++) {
        const int i = b.n_tokens;
        b.token[i] = word(seq, at[seq]);
        b.pos[i] = at[seq]++;
        b.n_seq_id[i] = 1;
        b.seq_id[i][0] = seq;
        b.logits[i] = i == n - 1;
    }
    CHECK(llama_decode(ctx, b) == 0);
    llama_batch_free(b);
}

/* n tokens of a picture of so many columns, from token first on */
static void part(struct llama_context * ctx, int seq, int columns, int first, int n) {
    struct llama_batch b = llama_batch_init(n, n_embd, 1);
    free(b.pos);
    b.pos = calloc(4*n, sizeof(*b.pos));
    for (b.n_tokens = 0; b.n_tokens < n; b.n_tokens++) {
        const int i = b.n_tokens, cell = first + i;
        for (int j = 0; j < n_embd; j++) {
            b.embd[i*n_embd + j] = noise(cell*n_embd + j)/2147483648.0f - 1;
        }
        b.pos[i] = at[seq];
        b.pos[i + n] = at[seq] + cell/columns;
        b.pos[i + 2*n] = at[seq] + cell%columns;
        b.n_seq_id[i] = 1;
        b.seq_id[i][0] = seq;
        b.logits[i] = 0;
    }
    CHECK(llama_decode(ctx, b) == 0);
    llama_batch_free(b);
}

static void picture(struct llama_context * ctx, int seq, int columns, int rows) {
    const int n = columns*rows, half = n/2 + 3;
    part(ctx, seq, columns, 0, half);
    part(ctx, seq, columns, half, n - half);
    at[seq] += columns > rows ? columns : rows;
}

static void decode(struct llama_context * ctx, int n, int seqs) {
    struct llama_batch b = llama_batch_init(SEQS, 0, 1);
    while (n--) {
        for (b.n_tokens = 0; b.n_tokens < seqs; b.n_tokens++) {
            const int s = b.n_tokens;
            b.token[s] = word(0, at[s]);
            b.pos[s] = at[s]++;
            b.n_seq_id[s] = 1;
            b.seq_id[s][0] = s;
            b.logits[s] = 1;
        }
        CHECK(llama_decode(ctx, b) == 0);
        for (int s = 0; s < seqs; s++) {
            CHECK(fwrite(llama_get_logits_ith(ctx, s), sizeof(float), n_vocab, out) == (size_t) n_vocab);
        }
    }
    llama_batch_free(b);
}

int main(int argc, char ** argv) {
    CHECK(argc == 4);
    llama_backend_init();
    struct llama_model_params mp = llama_model_default_params();
    struct llama_model * model = llama_model_load_from_file(argv[1], mp);
    CHECK(model && (out = fopen(argv[2], "wb")));
    n_vocab = llama_vocab_n_tokens(llama_model_get_vocab(model));
    n_embd = llama_model_n_embd_inp(model);

    struct llama_context * ctx = new_context(model);
    text(ctx, 0, TEXT);
    picture(ctx, 0, WIDE, HIGH);
    text(ctx, 0, 1);
    decode(ctx, STEPS, 1);
    picture(ctx, 0, HIGH, WIDE); /* in the middle of an answer */
    text(ctx, 0, 40);
    decode(ctx, STEPS, 1);

    CHECK(llama_state_seq_save_file(ctx, argv[3], 0, NULL, 0) > 0);
    const int saved = at[0];
    decode(ctx, STEPS, 1);

    llama_memory_seq_cp(llama_get_memory(ctx), 0, 1, -1, -1);
    at[1] = at[0];
    decode(ctx, STEPS, 2);
    llama_free(ctx);

    ctx = new_context(model);
    at[1] = 0;
    text(ctx, 1, 70); /* other cells than before */
    llama_memory_seq_rm(llama_get_memory(ctx), 1, 10, 30);
    size_t n = 0;
    llama_token none[1];
    CHECK(llama_state_seq_load_file(ctx, argv[3], 0, none, 1, &n) > 0);
    at[0] = saved;
    decode(ctx, STEPS, 1);
    llama_free(ctx);

    CHECK(fclose(out) == 0);
    llama_model_free(model);
    return 0;
}
