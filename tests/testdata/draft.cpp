// The lossless drafts of the patches, common/speculative-retro.cpp, with a context and a clock that
// are made up: of each draft is read before which token there is a doubt, its length is written, and
// read what its verification takes, in us, and how many of its tokens are confirmed. The headers
// that the file includes are empty.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

typedef int32_t llama_token, llama_pos, llama_seq_id;
typedef std::vector<llama_token> llama_tokens;
struct common_sampler {};
typedef std::unique_ptr<common_sampler> common_sampler_ptr;
struct llama_model;
struct llama_vocab;
struct llama_memory;

struct llama_batch {
    int32_t n_tokens;
    llama_seq_id ** seq_id;
};

struct llama_context {
    int64_t time, step; // now, and what a sparse step takes
    int32_t rows, here; // of a batch; a device attends to more
    int mode;
    int32_t sure; // tokens of a draft until one is in doubt
} host;

enum { LLAMA_RETRO_ATTN_MODE_EXACT = 1, LLAMA_RETRO_ATTN_MODE_DRAFT, LLAMA_STATE_SEQ_FLAGS_PARTIAL_ONLY };
enum { COMMON_CONTEXT_SEQ_RM_TYPE_NO, COMMON_CONTEXT_SEQ_RM_TYPE_PART, COMMON_CONTEXT_SEQ_RM_TYPE_RS };

struct common_params_speculative_draft {
    llama_context * ctx_tgt;
    int32_t n_max_retro, n_min;
    float p_min;
};

struct common_speculative_draft_params {
    bool drafting;
    int32_t n_max;
    llama_pos pos0;
    llama_token id_last;
    llama_tokens * result;
    common_sampler * smpl;
};

struct common_prompt_checkpoint {
    void update_tgt(llama_context *, llama_seq_id, int) {}
    void load_tgt(llama_context *, llama_seq_id, int) {}
};

#define LOG_WRN(...) fprintf(stderr, __VA_ARGS__)

static int64_t ggml_time_us() { return host.time; }
static int common_context_can_seq_rm(llama_context *) { return COMMON_CONTEXT_SEQ_RM_TYPE_PART; }
static int llama_retro_attn_engine(llama_context *) { return 1; }
static int32_t llama_retro_attn_n_exact_max(llama_context * c) { return c->here; }
static int llama_retro_attn_set_mode(llama_context * c, int mode) { c->mode = mode; return 0; }
static uint32_t llama_n_batch(llama_context * c) { return c->rows; }
static uint32_t llama_n_ubatch(llama_context * c) { return c->rows; }
static int32_t llama_n_rs_seq(llama_context *) { return 0; }
static void llama_synchronize(llama_context *) {}

static int llama_decode(llama_context * c, const llama_batch &) {
    if (c->mode != LLAMA_RETRO_ATTN_MODE_DRAFT) abort();
    c->time += c->step;
    c->sure--;
    return 0;
}

static llama_batch llama_batch_init(int32_t n, int32_t, int32_t) {
    llama_batch b = { 0, new llama_seq_id *[n] };
    for (int32_t i = 0; i < n; i++) b.seq_id[i] = new llama_seq_id[1];
    return b;
}
static void llama_batch_free(const llama_batch &) {}
static void common_batch_clear(llama_batch & b) { b.n_tokens = 0; }
static void common_batch_add(llama_batch & b, llama_token, llama_pos, std::vector<llama_seq_id> seqs, bool) {
    b.seq_id[b.n_tokens++][0] = seqs[0];
}

static const float * llama_get_logits_ith(llama_context * c, int32_t) {
    static const float sure[2] = { 1, 0.6 }, doubtful[2] = { 1, 0.8 };
    return c->sure < 0 ? doubtful : sure;
}
static const llama_model * llama_get_model(llama_context *) { return nullptr; }
static const llama_vocab * llama_model_get_vocab(const llama_model *) { return nullptr; }
static int32_t llama_vocab_n_tokens(const llama_vocab *) { return 2; }
static bool llama_vocab_is_eog(const llama_vocab *, llama_token) { return false; }
static llama_memory * llama_get_memory(llama_context *) { return nullptr; }
static void llama_memory_seq_rm(llama_memory *, llama_seq_id, llama_pos, llama_pos) {}
static common_sampler * common_sampler_clone(common_sampler *) { return nullptr; }
static llama_token common_sampler_sample(common_sampler *, llama_context *, int32_t) { return 0; }
static void common_sampler_accept(common_sampler *, llama_token, bool) {}

struct llama_token_data { float p; };
struct llama_token_data_array {
    const llama_token_data * data;
    int selected;
};
static llama_token_data_array * common_sampler_get_candidates(common_sampler *, bool) { return nullptr; }

#include "common/speculative-retro.cpp"

int main(int argc, char ** argv) {
    if (argc < 5) return 1;
    host = { 0, atoi(argv[1]), 512, atoi(argv[2]), LLAMA_RETRO_ATTN_MODE_EXACT, 0 };
    common_speculative_retro retro({ &host, atoi(argv[4]), atoi(argv[3]), 0 }, 1);
    retro.begin();

    int accepted;
    long long us;
    while (scanf("%d", &host.sure) == 1) {
        llama_tokens drafts;
        std::vector<common_speculative_draft_params> all = { { true, 0, 1000, 0, &drafts, nullptr } };
        retro.draft(all);
        if (host.mode != LLAMA_RETRO_ATTN_MODE_EXACT) abort();
        printf("%d\n", (int) drafts.size());
        fflush(stdout);
        if (scanf("%lld %d", &us, &accepted) != 2) return 1;
        host.time += us;
        retro.process({ (int32_t) drafts.size() + 1, nullptr });
        retro.accept(0, accepted);
    }
}
