// Models with random weights, of the fixtures of llama.cpp's own test of architectures.
//
//   archs                          what there is: an architecture and its kind a line
//   archs NAME dense|moe|full FILE writes the model, or says why it cannot be made; full: experts, and without the
//                                  indexer that tells others of the architecture what to attend to
//   archs NAME heads FILE          one with 256 heads of queries for one of keys
//   ... words                      with a vocabulary
//   ... mtp                        with a last layer that drafts
//
// It is compiled with upstream's file, which has the fixtures, and changes what they say before a model is made: more
// layers, norms around one, so that attention is neither flat nor without weight, and what is missing for some.

#define main upstream_main
#include "test-llama-archs.cpp"
#undef main

#include "../src/llama-model.h"

#include <set>

struct data_params {
    tensor_data_params base;
    float              q_norm; // what the norm of queries is around
};

static void set_data(ggml_tensor * tensor, void * userdata) {
    auto & params = *(data_params *) userdata;
    set_tensor_data(tensor, &params.base);

    const std::string name = tensor->name;
    if (tensor->type != GGML_TYPE_F32 || name.find("norm") == std::string::npos || name.find(".bias") != std::string::npos) {
        return;
    }
    std::vector<float> data(ggml_nelements(tensor));
    ggml_backend_tensor_get(tensor, data.data(), 0, ggml_nbytes(tensor));
    for (float & x : data) {
        x = (x + 1.0f)*(name.find("attn_q_norm") == std::string::npos ? 1.0f : params.q_norm);
    }
    ggml_backend_tensor_set(tensor, data.data(), 0, ggml_nbytes(tensor));
}

// every list with an element per layer goes on as it began
static void deepen(gguf_context * ctx, const std::string & arch, const uint32_t n_times) {
    const std::string key_layers = arch + ".block_count";
    const uint32_t    n_layer    = gguf_get_val_u32(ctx, gguf_find_key(ctx, key_layers.c_str()));

    std::vector<std::string> keys;
    for (int64_t i = 0; i < gguf_get_n_kv(ctx); ++i) {
        const std::string key = gguf_get_key(ctx, i);
        if (key.rfind(arch + ".", 0) == 0 && gguf_get_kv_type(ctx, i) == GGUF_TYPE_ARRAY && gguf_get_arr_n(ctx, i) == n_layer &&
                key != arch + ".rope.dimension_sections") {
            keys.push_back(key);
        }
    }
    for (const auto & key : keys) {
        const int64_t   i    = gguf_find_key(ctx, key.c_str());
        const gguf_type type = gguf_get_arr_type(ctx, i);
        const size_t    size = type == GGUF_TYPE_BOOL ? 1 : type == GGUF_TYPE_UINT64 ? 8 : 4;

        const std::string once((const char *) gguf_get_arr_data(ctx, i), n_layer*size);

        std::string data;
        for (uint32_t t = 0; t < n_times; ++t) {
            data += once;
        }
        gguf_set_arr_data(ctx, key.c_str(), type, data.data(), n_layer*n_times);
    }
    gguf_set_val_u32(ctx, key_layers.c_str(), n_layer*n_times);
}

static void amend(gguf_context * ctx, const llm_arch arch) {
    const std::string name = llm_arch_name(arch);

    // some have a table with a row for each position
    gguf_set_val_u32(ctx, (name + ".context_length").c_str(), 4096);

    // what upstream's fixtures lack, because it does not test these
    gguf_set_val_u32(ctx, "tokenizer.ggml.token_type_count", 2);
    for (const char * key : { "decay", "iclr", "value_residual_mix", "gate" }) {
        gguf_set_val_u32(ctx, (name + ".attention." + key + "_lora_rank").c_str(), 8);
    }
    if (arch == LLM_ARCH_ARWKV7) {
        gguf_set_val_u32(ctx, "arwkv7.token_shift_count", 1);
    }
    if (arch == LLM_ARCH_LFM2) {
        gguf_remove_key(ctx, "lfm2.attention.sliding_window"); // it would be that of all layers
    }
    const int32_t ids[] = { 1 };
    gguf_set_val_u32 (ctx, (name + ".adapters.count").c_str(),     1);
    gguf_set_val_u32 (ctx, (name + ".adapters.lora_rank").c_str(), 8);
    gguf_set_arr_data(ctx, (name + ".adapters.token_ids_activate").c_str(),   GGUF_TYPE_INT32, ids, 1);
    gguf_set_arr_data(ctx, (name + ".adapters.token_ids_substitute").c_str(), GGUF_TYPE_INT32, ids, 1);

    switch (arch) {
        case LLM_ARCH_HRM_TEXT:  // layers are those of its cycles
        case LLM_ARCH_GEMMA3N:   // 22, the first 20 have a cache
        case LLM_ARCH_DEEPSEEK4: // 4, of different kinds
            break;
        case LLM_ARCH_GEMMA4: {
            // the last two of 5 layers use the caches of the two before, and heads with a window are smaller
            const bool is_swa[] = { true, true, false, true, false };
            gguf_set_arr_data(ctx, "gemma4.attention.sliding_window_pattern", GGUF_TYPE_BOOL, is_swa, 5);
            gguf_set_val_u32(ctx, "gemma4.attention.shared_kv_layers",  2);
            gguf_set_val_u32(ctx, "gemma4.attention.key_length_swa",   32);
            gguf_set_val_u32(ctx, "gemma4.attention.value_length_swa", 32);
            gguf_set_val_u32(ctx, "gemma4.rope.dimension_count_swa",   32);
        } break;
        default:
            deepen(ctx, name, 2);
    }
}

static void add_heads(gguf_context * ctx, const std::string & name) {
    gguf_set_val_u32(ctx, (name + ".attention.head_count").c_str(),  256);
    gguf_set_val_u32(ctx, (name + ".attention.head_count_kv").c_str(), 1);
    gguf_set_val_u32(ctx, (name + ".context_length").c_str(),       4096);
    for (const char * key : { ".attention.key_length", ".attention.value_length", ".rope.dimension_count" }) {
        gguf_set_val_u32(ctx, (name + key).c_str(), 32);
    }
}

// a vocabulary of words, which programs need
static void add_words(gguf_context * ctx) {
    std::vector<std::string> words = { "<unk>", "<s>", "</s>" };
    while (words.size() < 128) {
        words.push_back("w" + std::to_string(words.size()) + " ");
    }
    std::vector<const char *> tokens;
    for (const auto & word : words) {
        tokens.push_back(word.c_str());
    }
    std::vector<int32_t> types(words.size(), 4); // as users define them: found in a text as they are
    types[0] = 2;
    types[1] = types[2] = 3;

    const std::vector<float> scores(words.size(), 0.0f);

    gguf_set_val_str (ctx, "tokenizer.ggml.model", "llama");
    gguf_set_arr_str (ctx, "tokenizer.ggml.tokens",     tokens.data(), tokens.size());
    gguf_set_arr_data(ctx, "tokenizer.ggml.scores",     GGUF_TYPE_FLOAT32, scores.data(), scores.size());
    gguf_set_arr_data(ctx, "tokenizer.ggml.token_type", GGUF_TYPE_INT32,   types.data(),  types.size());
    gguf_set_val_u32 (ctx, "tokenizer.ggml.bos_token_id", 1);
    gguf_set_val_u32 (ctx, "tokenizer.ggml.eos_token_id", 2);
}

// the last layer drafts: from a token and what the layers before it made of the one before
static ggml_context_ptr add_mtp(gguf_context * file, const llama_model * model) {
    const int64_t n_embd = model->hparams.n_embd;

    const std::string block = "blk." + std::to_string(model->hparams.n_layer() - 1) + ".nextn.";

    ggml_context_ptr ctx(ggml_init({ ggml_tensor_overhead()*8 + 4*ggml_row_size(GGML_TYPE_F32, n_embd*(2*n_embd + 4)), nullptr, false }));

    const auto add = [&](const char * name, int64_t ne0, int64_t ne1) {
        ggml_tensor * t = ggml_new_tensor_2d(ctx.get(), GGML_TYPE_F32, ne0, ne1);
        ggml_format_name(t, "%s%s.weight", block.c_str(), name);
        for (int64_t i = 0; i < ggml_nelements(t); ++i) {
            ((float *) t->data)[i] = ne1 == 1 ? 1.0f : ((i*7919)%199 - 99)/1000.0f;
        }
        gguf_add_tensor(file, t);
    };
    add("eh_proj", 2*n_embd, n_embd);
    for (const char * name : { "enorm", "hnorm", "shared_head_norm" }) {
        add(name, n_embd, 1);
    }
    gguf_set_val_u32(file, (llm_arch_name(model->arch) + std::string(".nextn_predict_layers")).c_str(), 1);

    return ctx;
}

static int make(const llm_arch arch, const std::string & kind, const char * path, const std::set<std::string> & with) {
    gguf_context_ptr metadata = get_gguf_ctx(arch, kind == "moe" || kind == "full");
    if (kind == "heads") {
        add_heads(metadata.get(), llm_arch_name(arch));
    } else {
        amend(metadata.get(), arch);
    }
    if (with.count("words")) {
        add_words(metadata.get());
    }
    if (kind == "full") {
        gguf_set_val_u32(metadata.get(), (llm_arch_name(arch) + std::string(".attention.indexer.top_k")).c_str(), 0);
    }

    // Gemma does not scale queries by the size of heads
    data_params data = { { /*.seed =*/ 1, /*.stdev =*/ 0.1f }, arch == LLM_ARCH_GEMMA3N || arch == LLM_ARCH_GEMMA4 ? 0.25f : 1.0f };

    llama_model_params params = llama_model_default_params();
    params.progress_callback = silent_model_load_progress;

    llama_model_ptr model(llama_model_init_from_user(metadata.get(), set_data, &data, params));
    if (!model) {
        return 1;
    }
    gguf_context_ptr file(gguf_init_empty());
    gguf_set_kv(file.get(), metadata.get());
    for (const auto & [name, tensor] : llama_internal_get_tensor_map(model.get())) {
        if (gguf_find_tensor(file.get(), name.c_str()) < 0) {
            gguf_add_tensor(file.get(), tensor);
        }
    }
    ggml_context_ptr extra;
    if (with.count("mtp")) {
        extra = add_mtp(file.get(), model.get());
    }
    return gguf_write_to_file(file.get(), path, false) ? 0 : 1;
}

int main(int argc, char ** argv) {
    llama_log_set([](ggml_log_level level, const char * text, void *) {
        if (level >= GGML_LOG_LEVEL_ERROR && level != GGML_LOG_LEVEL_CONT) {
            fputs(text, stderr);
        }
    }, nullptr);

    if (argc >= 4) {
        return make(llm_arch_from_string(argv[1]), argv[2], argv[3], { argv + 4, argv + argc });
    }
    for (const llm_arch & arch : llm_arch_all()) {
        if (arch == LLM_ARCH_UNKNOWN) {
            continue;
        }
        for (const bool moe : { false, true }) {
            if (arch == LLM_ARCH_DEEPSEEK2OCR ? moe : moe ? moe_implemented(arch) : !moe_mandatory(arch)) {
                printf("%s %s\n", llm_arch_name(arch), moe ? "moe" : "dense");
            }
        }
        if (arch == LLM_ARCH_HY_V4) {
            printf("%s full\n", llm_arch_name(arch));
        }
    }
    return 0;
}
