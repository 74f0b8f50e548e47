/* Loads libretroattn with so few addresses left that it cannot be mapped, which is dlerror's sentence and no more; then with
 * 2 GiB, which is enough to decode. */
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

int main(int argc, char ** argv) {
    if (argc != 2 || leave(1 << 20)) return 1;
    void * lib = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (lib) { puts("it was loaded into 1 MiB"); return 1; }
    const char * error = dlerror();
    if (!strstr(error, argv[1])) { printf("not named: %s\n", error); return 1; }

    if (leave(2048ul << 20)) return 1;
    lib = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (!lib) { puts(dlerror()); return 1; }
    int32_t (*open)(const struct retro_config *, const char *, uint64_t *, char *, uint32_t);
    *(void **) &open = dlsym(lib, "retro_open");
    const struct retro_config config = { sizeof(config), RETRO_ABI_VERSION, 4, 4, 1 << 20, 512, 4 };
    uint64_t engine;
    char msg[256];
    if (open(&config, "", &engine, msg, sizeof(msg)) != RETRO_OK) { puts(msg); return 1; }
    puts("ok");
    return 0;
}
