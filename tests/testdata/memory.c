/* Loads libretroattn with so few addresses left that it cannot be mapped, which is dlerror's sentence and no more; then with
 * 2 GiB, which is enough to decode, but neither for the stacks of 256 threads nor for what 64 threads need for the largest heads:
 * an error in the first step at the latest, and the next engine decodes. */
#define RETRO_NO_PROTOTYPES
#include "retroattn.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

/* Leaves so many addresses to this process beside those that it uses. */
static int leave(rlim_t bytes) {
    unsigned long pages = 0;
    FILE * f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%lu", &pages) != 1 || fclose(f)) return 1;
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit)) return 1;
    limit.rlim_cur = pages*4096 + bytes;
    return setrlimit(RLIMIT_AS, &limit);
}

static int32_t (*open_engine)(const struct retro_config *, const char *, uint64_t *, char *, uint32_t);
static int32_t (*add_layer)(uint64_t, const struct retro_layer *);
static int32_t (*step_begin)(uint64_t, const struct retro_row *, uint32_t, uint32_t);
static int32_t (*error_text)(uint64_t, char *, uint32_t);

enum { CELLS = 64, HEADS = 1024, D = 1024 };

/* Begins the first step of an engine for so many threads, which is when it takes its memory. */
static int32_t begin(uint32_t threads, char text[256]) {
    static uint16_t keys[CELLS][D];
    const struct retro_config config = { sizeof(config), RETRO_ABI_VERSION, 1, 1, CELLS, 1, threads };
    const struct retro_layer layer = { sizeof(layer), 0, RETRO_TYPE_F16, RETRO_TYPE_F16, HEADS, 1, D, D, keys, keys,
        sizeof(keys), sizeof(keys), sizeof(keys[0]), sizeof(keys[0]), sizeof(keys[0]), sizeof(keys[0]) };
    const struct retro_row row = { 0, 0, 0 };
    uint64_t engine;
    int32_t code = open_engine(&config, "window=1", &engine, text, 256);
    const int opened = code == RETRO_OK;
    if (code == RETRO_OK) code = add_layer(engine, &layer);
    if (code == RETRO_OK) code = step_begin(engine, &row, 1, 1);
    if (opened && code != RETRO_OK) error_text(engine, text, 256);
    return code;
}

int main(int argc, char ** argv) {
    if (argc != 2 || leave(1 << 20)) return 1;
    void * lib = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (lib) { puts("it was loaded into 1 MiB"); return 1; }
    const char * error = dlerror();
    if (!strstr(error, argv[1])) { printf("not named: %s\n", error); return 1; }

    if (leave(2048ul << 20)) return 1;
    lib = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (!lib) { puts(dlerror()); return 1; }
    *(void **) &open_engine = dlsym(lib, "retro_open");
    *(void **) &add_layer = dlsym(lib, "retro_add_layer");
    *(void **) &step_begin = dlsym(lib, "retro_step_begin");
    *(void **) &error_text = dlsym(lib, "retro_error");
    char text[256];
    for (uint32_t threads = 256; threads >= 64; threads /= 4) {
        if (begin(threads, text) == RETRO_ERR_UNSUPPORTED && strstr(text, "MiB of addresses are not supported here (cannot allocate memory)")) continue;
        printf("%u threads were not refused: %s\n", threads, text);
        return 1;
    }
    if (begin(1, text) != RETRO_OK) { puts(text); return 1; }
    puts("ok");
    return 0;
}
