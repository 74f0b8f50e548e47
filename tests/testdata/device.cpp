// Copies between a device and the CPU, by ggml's scheduler. The device computes and copies when it is waited for and no
// sooner, so that what is read or overwritten too early is wrong.
//
//   device    how often it was waited for and asked for a copy each way, and the results, as JSON
//   device MODEL LIBRETROATTN    where the KV cache is while the feature is on, and what it changes
//
// Three tensors of the device are added by the CPU, which stores the sum in a cache, and the device multiplies that.
// With a model it computes nothing: it has pinned memory, none left, or uses that in place.

#include "ggml-backend-impl.h"
#include "ggml-cpp.h"
#include "llama.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <vector>

// of the patched ggml-backend.h and llama.h
extern "C" void ggml_backend_sched_set_async_copy(ggml_backend_sched_t sched, bool async_copy);
extern "C" int32_t llama_retro_attn_init(llama_context * ctx, const char * lib_path, const char * options);

static ggml_backend_t cpu;

static std::vector<std::function<void()>> queue;
static int n_waits, n_gets, n_sets;

// memory of the device, which the CPU could read, but is not to; and its pinned memory

static void   buffer_free    (ggml_backend_buffer_t b) { free(b->context); }
static void * buffer_get_base(ggml_backend_buffer_t b) { return b->context; }
static void   buffer_set     (ggml_backend_buffer_t, ggml_tensor * t, const void * data, size_t offset, size_t size) {
    memcpy((char *) t->data + offset, data, size);
}
static void   buffer_get     (ggml_backend_buffer_t, const ggml_tensor * t, void * data, size_t offset, size_t size) {
    memcpy(data, (const char *) t->data + offset, size);
}

static const char * get_name(ggml_backend_buffer_type_t) { return "test"; }
static size_t       get_alignment(ggml_backend_buffer_type_t) { return 64; }

static ggml_backend_buffer_t alloc(ggml_backend_buffer_type_t type, size_t size) {
    ggml_backend_buffer_i iface = {};
    iface.free_buffer = buffer_free;
    iface.get_base    = buffer_get_base;
    iface.set_tensor  = buffer_set;
    iface.get_tensor  = buffer_get;

    size = (size + 63)/64*64;
    void * data = aligned_alloc(64, size);
    memset(data, 0xff, size); // NaN
    return ggml_backend_buffer_init(type, iface, data, size);
}

static bool is_host(ggml_backend_buffer_type_t) { return true; }

static bool                has_pinned = true, in_place;
static std::vector<size_t> n_pinned; // bytes of each buffer

static ggml_backend_buffer_t alloc_pinned(ggml_backend_buffer_type_t type, size_t size) {
    if (!has_pinned) {
        return ggml_backend_buft_alloc_buffer(ggml_backend_get_default_buffer_type(cpu), size);
    }
    void * data = aligned_alloc(64, (size + 63)/64*64);
    memset(data, 0xff, size);

    ggml_backend_buffer_t res = ggml_backend_cpu_buffer_from_ptr(data, size);
    res->buft              = type;
    res->iface.free_buffer = buffer_free;
    n_pinned.push_back(size);
    return res;
}

static ggml_backend_buffer_type memory = { { get_name, alloc, get_alignment, nullptr, nullptr, nullptr }, nullptr, nullptr };
static ggml_backend_buffer_type pinned = { { get_name, alloc_pinned, get_alignment, nullptr, nullptr, is_host }, nullptr, nullptr };

// the device

static enum ggml_backend_dev_type dev_type(ggml_backend_dev_t) { return GGML_BACKEND_DEVICE_TYPE_GPU; }
static ggml_backend_buffer_type_t dev_pinned(ggml_backend_dev_t) { return &pinned; }
static bool dev_supports_op  (ggml_backend_dev_t, const ggml_tensor *) { return true; }
static bool dev_supports_none(ggml_backend_dev_t, const ggml_tensor *) { return false; }
static bool dev_supports_buft(ggml_backend_dev_t, ggml_backend_buffer_type_t type) {
    return type == &memory || (in_place && type == &pinned);
}

static const char * backend_name(ggml_backend_t) { return "test"; }
static void backend_synchronize(ggml_backend_t) {
    for (auto & work : queue) {
        work();
    }
    queue.clear();
    n_waits++;
}
static void backend_get(ggml_backend_t, const ggml_tensor * t, void * data, size_t offset, size_t size) {
    n_gets++;
    queue.push_back([=] { memcpy(data, (const char *) t->data + offset, size); });
}
static void backend_set(ggml_backend_t, ggml_tensor * t, const void * data, size_t offset, size_t size) {
    n_sets++;
    queue.push_back([=] { memcpy((char *) t->data + offset, data, size); });
}
static ggml_status backend_compute(ggml_backend_t, ggml_cgraph * graph) {
    queue.push_back([=] { ggml_backend_graph_compute(cpu, graph); });
    return GGML_STATUS_SUCCESS;
}

static ggml_backend_device device;

static ggml_backend_t make_backend() {
    static ggml_guid guid = {};

    ggml_backend backend = {};
    backend.guid                   = &guid;
    backend.iface.get_name         = backend_name;
    backend.iface.free             = [](ggml_backend_t b) { delete b; };
    backend.iface.get_tensor_async = backend_get;
    backend.iface.set_tensor_async = backend_set;
    backend.iface.synchronize      = backend_synchronize;
    backend.iface.graph_compute    = backend_compute;
    backend.device = &device;
    return new ggml_backend(backend);
}

static void copies() {
    ggml_backend_t backend = make_backend();

    struct { const char * name; bool on; ggml_backend_buffer_type_t host; } const cases[] = {
        { "off", false, &pinned }, { "on", true, &pinned }, { "pageable", true, ggml_backend_get_default_buffer_type(cpu) },
    };
    const char * sep = "{";
    for (const auto & c : cases) {
        ggml_backend_t             backends[] = { backend, cpu };
        ggml_backend_buffer_type_t types[]    = { &memory, c.host };

        ggml_backend_sched_ptr sched(ggml_backend_sched_new(backends, types, 2, 64, false, true));
        ggml_backend_sched_set_async_copy(sched.get(), c.on);

        ggml_context_ptr ctx(ggml_init({ 1024*1024, nullptr, true }));

        ggml_tensor * x = ggml_new_tensor_1d(ctx.get(), GGML_TYPE_F32, 4);
        ggml_set_input(x);

        ggml_tensor * parts[] = { ggml_scale(ctx.get(), x, 2), ggml_scale(ctx.get(), x, 3), ggml_scale(ctx.get(), x, 5) };

        ggml_context_ptr ctx_cache(ggml_init({ 4096, nullptr, true }));
        ggml_tensor *    cache = ggml_new_tensor_1d(ctx_cache.get(), GGML_TYPE_F32, 4);

        ggml_backend_buffer_ptr buf_cache(ggml_backend_alloc_ctx_tensors_from_buft(ctx_cache.get(), c.host));

        ggml_tensor * sum    = ggml_add(ctx.get(), ggml_add(ctx.get(), parts[0], parts[1]), parts[2]);
        ggml_tensor * stored = ggml_cpy(ctx.get(), sum, cache);
        ggml_tensor * out    = ggml_scale(ctx.get(), stored, 7);
        ggml_set_output(out);

        ggml_cgraph * graph = ggml_new_graph(ctx.get());
        ggml_build_forward_expand(graph, out);

        for (ggml_tensor * t : { x, parts[0], parts[1], parts[2], out }) {
            ggml_backend_sched_set_tensor_backend(sched.get(), t, backend);
        }
        for (ggml_tensor * t : { sum->src[0], sum, stored }) {
            ggml_backend_sched_set_tensor_backend(sched.get(), t, cpu);
        }

        if (!ggml_backend_sched_alloc_graph(sched.get(), graph)) {
            abort();
        }
        const float values[] = { 1, -2, 0.5f, 8 };
        ggml_backend_tensor_set(x, values, 0, sizeof(values));

        n_waits = n_gets = n_sets = 0;
        ggml_backend_sched_graph_compute_async(sched.get(), graph);
        const int waits = n_waits;
        memset(cache->data, 0xff, ggml_nbytes(cache));
        ggml_backend_sched_synchronize(sched.get());

        float got[4];
        ggml_backend_tensor_get(out, got, 0, sizeof(got));
        printf("%s\"%s\": {\"waits\": %d, \"gets\": %d, \"sets\": %d, \"values\": [%g, %g, %g, %g]}", sep, c.name, waits, n_gets,
                n_sets, got[0], got[1], got[2], got[3]);
        sep = ", ";
    }
    printf("}\n");
    ggml_backend_free(backend);
}

// the sizes of pinned buffers that the feature asks for, and logits
static void cache(const char * name, llama_model * model, const char * lib_path) {
    llama_context_params params = llama_context_default_params();
    params.n_ctx           = 512;
    params.n_batch         = 64;
    params.offload_kqv     = false;
    params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_ENABLED;

    llama_context * ctx = llama_init_from_model(model, params);
    const size_t n_before = n_pinned.size();
    if (llama_retro_attn_init(ctx, lib_path, "budget=all,window=1") != 0) {
        abort();
    }
    const size_t n_layer = llama_model_n_layer(model);
    const size_t n_embd  = (size_t) llama_model_n_embd(model)/llama_model_n_head(model)*llama_model_n_head_kv(model);

    int n_cache = 0;
    for (size_t i = n_before; i < n_pinned.size(); ++i) {
        n_cache += n_pinned[i] == 2*n_layer*n_embd*params.n_ctx*2; // K and V, of 2 bytes each
    }
    std::vector<llama_token> tokens(64);
    for (int i = 0; i < 5; ++i) {
        for (llama_token & t : tokens) {
            t = 17*(&t - tokens.data()) + 100*i;
        }
        if (llama_decode(ctx, llama_batch_get_one(tokens.data(), i < 4 ? 64 : 1)) != 0) {
            abort();
        }
    }
    const float * logits = llama_get_logits_ith(ctx, -1);
    printf("\"%s\": {\"cache\": %d, \"logits\": [%.9g, %.9g, %.9g]}", name, n_cache, logits[0], logits[100], logits[1000]);
    llama_free(ctx);
}

static void caches(const char * path, const char * lib_path) {
    device.iface.supports_op = dev_supports_none;

    ggml_backend_dev_t devices[] = { &device, nullptr };

    llama_log_set([](ggml_log_level, const char *, void *) {}, nullptr);

    llama_model_params mparams = llama_model_default_params();
    mparams.devices      = devices;
    mparams.n_gpu_layers = 0;

    llama_model * model = llama_model_load_from_file(path, mparams);

    printf("{");
    cache("pinned", model, lib_path);
    printf(", ");
    has_pinned = false;
    cache("none left", model, lib_path);
    printf(", ");
    has_pinned = in_place = true;
    cache("in place", model, lib_path);
    printf("}\n");
    llama_model_free(model);
}

int main(int argc, char ** argv) {
    ggml_backend_load_all();
    cpu = ggml_backend_init_by_type(GGML_BACKEND_DEVICE_TYPE_CPU, nullptr);

    static ggml_backend_reg reg = {};
    reg.iface.get_name = [](ggml_backend_reg_t) { return "test"; };

    device.reg = &reg;
    device.iface.get_name             = [](ggml_backend_dev_t) { return "test"; };
    device.iface.get_description      = device.iface.get_name;
    device.iface.get_memory           = [](ggml_backend_dev_t, size_t * free, size_t * total) { *free = *total = 1 << 30; };
    device.iface.get_props            = [](ggml_backend_dev_t, ggml_backend_dev_props * props) { *props = { "test", "test" }; };
    device.iface.get_type             = dev_type;
    device.iface.init_backend         = [](ggml_backend_dev_t, const char *) { return make_backend(); };
    device.iface.get_buffer_type      = [](ggml_backend_dev_t) { return &memory; };
    device.iface.get_host_buffer_type = dev_pinned;
    device.iface.supports_op          = dev_supports_op;
    device.iface.supports_buft        = dev_supports_buft;
    memory.device = pinned.device = &device;

    if (argc < 3) {
        copies();
    } else {
        caches(argv[1], argv[2]);
    }
    ggml_backend_free(cpu);
}
