// What a draft model reads of the context that it drafts for: features of every token, by its index in the batch.
//
//   features MODEL LIBRETROATTN nextn|layer UNIFIED OPTIONS   the features, and what libretroattn did, as JSON
//   ... apart                                                 each sequence of a batch in a batch of its own
//
// Without OPTIONS ("") libretroattn is not used.

#include "llama.h"
#include "../src/llama-ext.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

// of the patched llama.h, with the first of retroattn.h's counters
struct llama_retro_attn_stats {
    uint64_t n_steps, n_ubatches;
    uint64_t struct_size, n_tokens, n_sparse, n_short, n_exact, n_corrected, more[26];
};
extern "C" {
int32_t llama_retro_attn_init(llama_context * ctx, const char * lib_path, const char * options);
bool llama_retro_attn_get_stats(const llama_context * ctx, llama_retro_attn_stats * stats);
}

struct run {
    int seq;
    int n;
};

static const int n_seq = 3;

// prompts; tokens alone in their sequences; and drafts beside these, in any order
static std::vector<std::vector<run>> script(bool is_hybrid) {
    std::vector<std::vector<run>> res = { { { 1, 150 } }, { { 0, 120 } }, { { 2, 90 } } };
    for (int i = 0; i < 6; ++i) {
        res.push_back({ { 0, 1 }, { 1, 1 }, { 2, 1 } });
    }
    if (is_hybrid) { // llama.cpp changes the order itself
        res.push_back({ { 1, 4 } });
        res.push_back({ { 1, 1 } });
    } else {
        res.push_back({ { 1, 4 }, { 0, 1 }, { 2, 1 } });
        res.push_back({ { 2, 1 }, { 1, 1 }, { 0, 1 } });
        res.push_back({ { 2, 1 }, { 0, 40 }, { 1, 1 } });
        res.push_back({ { 1, 1 } });
    }
    for (int i = 0; i < 4; ++i) {
        res.push_back({ { 0, 1 }, { 1, 1 }, { 2, 1 } });
    }
    return res;
}

int main(int argc, char ** argv) {
    if (argc < 6) {
        return 2;
    }
    const bool is_nextn = strcmp(argv[3], "nextn") == 0;
    const bool apart    = argc > 6;

    llama_log_set([](ggml_log_level level, const char * text, void *) {
        if (level >= GGML_LOG_LEVEL_WARN && level != GGML_LOG_LEVEL_CONT) {
            fputs(text, stderr);
        }
    }, nullptr);

    llama_model_params mparams = llama_model_default_params();
    mparams.load_mtp = is_nextn;

    llama_model * model = llama_model_load_from_file(argv[1], mparams);
    if (!model) {
        return 1;
    }
    llama_context_params params = llama_context_default_params();
    params.n_ctx           = 512*n_seq;
    params.n_batch         = 256;
    params.n_ubatch        = 64;
    params.n_seq_max       = n_seq;
    params.n_threads       = 1;
    params.n_threads_batch = 1;
    params.kv_unified      = atoi(argv[4]);
    params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_ENABLED;
    params.type_k          = GGML_TYPE_F32;
    params.type_v          = GGML_TYPE_F32;

    llama_context * ctx = llama_init_from_model(model, params);
    if (!ctx || (argv[5][0] && llama_retro_attn_init(ctx, argv[2], argv[5]) != 0)) {
        return 1;
    }
    const int layer = llama_model_n_layer(model)/2;
    if (is_nextn) {
        llama_set_embeddings_nextn(ctx, true, false);
    } else {
        llama_set_embeddings_layer_inp(ctx, layer, true);
    }
    const int n_embd = llama_model_n_embd(model);

    printf("{\"rows\":[");
    const char * comma = "";

    int pos[n_seq] = {};
    for (const auto & all : script(llama_model_is_hybrid(model))) {
        std::vector<std::vector<run>> batches = { all };
        if (apart) {
            batches.clear();
            for (const auto & r : all) {
                batches.push_back({ r });
            }
        }
        for (const auto & runs : batches) {
            llama_batch batch = llama_batch_init(256, 0, 1);
            for (const auto & r : runs) {
                for (int i = 0; i < r.n; ++i) {
                    const int k = batch.n_tokens++;

                    batch.token   [k]    = (7919*pos[r.seq] + 31*r.seq + pos[r.seq]*pos[r.seq]/3)%128;
                    batch.pos     [k]    = pos[r.seq]++;
                    batch.n_seq_id[k]    = 1;
                    batch.seq_id  [k][0] = r.seq;
                    batch.logits  [k]    = i == r.n - 1 || r.n < 10; // of drafts all
                }
            }
            if (llama_decode(ctx, batch) != 0) {
                return 1;
            }
            const float * rows = is_nextn ? llama_get_embeddings_nextn(ctx) : llama_get_embeddings_layer_inp(ctx, layer);
            for (int k = 0; k < batch.n_tokens; ++k) {
                printf("%s[", comma);
                for (int i = 0; i < n_embd; ++i) {
                    printf(i ? ",%g" : "%g", rows[(size_t) k*n_embd + i]);
                }
                printf("]");
                comma = ",";
            }
            llama_batch_free(batch);
        }
    }
    llama_retro_attn_stats stats = {};
    llama_retro_attn_get_stats(ctx, &stats);
    printf("],\"tokens\":%llu,\"sparse\":%llu,\"corrected\":%llu}\n", (unsigned long long) stats.n_tokens,
            (unsigned long long) stats.n_sparse, (unsigned long long) stats.n_corrected);

    llama_free(ctx);
    llama_model_free(model);
    return 0;
}
