/* Loads libretroattn and decodes with it where the kernel ends the process at the first system call that a library of
 * arithmetic has no need of: sockets, other programs, and writing, creating or removing files from the start; opening
 * anything at all once it is loaded.
 *
 *     confined LIBRARY           prints "ok"
 *     confined LIBRARY open      opens a file after loading, and must not survive it; likewise "socket" */
#define RETRO_NO_PROTOTYPES
#include "retroattn.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define KILL BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)
#define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define NEVER(call) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_##call, 0, 1), KILL

static int confine(struct sock_filter * filter, size_t n) {
    struct sock_fprog program = { (unsigned short) n, filter };
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program);
}

static int confine_loading(void) {
    struct sock_filter filter[] = {
        LOAD(nr),
        NEVER(socket), NEVER(socketpair), NEVER(connect), NEVER(bind), NEVER(listen), NEVER(accept), NEVER(accept4), NEVER(sendto), NEVER(sendmsg),
        NEVER(execve), NEVER(execveat), NEVER(ptrace), NEVER(process_vm_readv), NEVER(process_vm_writev), NEVER(memfd_create),
        NEVER(unlinkat), NEVER(renameat2), NEVER(linkat), NEVER(symlinkat), NEVER(mkdirat), NEVER(fchmodat), NEVER(ftruncate), NEVER(truncate),
#ifdef __NR_open /* the older calls */
        NEVER(open), NEVER(creat), NEVER(unlink), NEVER(rename), NEVER(link), NEVER(symlink), NEVER(mkdir), NEVER(chmod), NEVER(fork), NEVER(vfork),
#endif
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_openat, 0, 3),
        LOAD(args[2]), /* the lower half, on a little-endian machine */
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, O_WRONLY | O_RDWR | O_CREAT | O_TRUNC, 0, 1), KILL,
        ALLOW,
    };
    return confine(filter, sizeof(filter)/sizeof(filter[0]));
}

static int confine_working(void) {
    struct sock_filter filter[] = { LOAD(nr), NEVER(openat), NEVER(openat2), ALLOW };
    return confine(filter, sizeof(filter)/sizeof(filter[0]));
}

/* what is used of the library */

static void * lib;
#define FUNCTION(result, name, ...) result (*name)(__VA_ARGS__) = (result (*)(__VA_ARGS__)) dlsym(lib, "retro_" #name)

enum { CELLS = 2048, HEADS = 4, D = 32, THREADS = 2 };

static uint16_t keys[CELLS][HEADS][D], values[CELLS][HEADS][D];
static float q[HEADS][D], out[HEADS][D];
static uint64_t engine;
static struct retro_attn attn = { sizeof(attn), 0, 1, 0.2f, q, out, sizeof(q), sizeof(q[0]), sizeof(out) };

static void * attend(void * ith) {
    FUNCTION(int32_t, attend, uint64_t, const struct retro_attn *, uint32_t, uint32_t);
    return (void *) (intptr_t) attend(engine, &attn, (uint32_t) (uintptr_t) ith, THREADS);
}

static int decode(void) {
    FUNCTION(int32_t, open, const struct retro_config *, const char *, uint64_t *, char *, uint32_t);
    FUNCTION(int32_t, add_layer, uint64_t, const struct retro_layer *);
    FUNCTION(int32_t, seq_extend, uint64_t, int32_t, uint32_t, const int32_t *, const int32_t *);
    FUNCTION(int32_t, step_begin, uint64_t, const struct retro_row *, uint32_t, uint32_t);
    FUNCTION(int32_t, select, uint64_t, const struct retro_attn *, uint32_t, uint32_t);
    FUNCTION(int32_t, step_end, uint64_t, int32_t);
    FUNCTION(int32_t, close, uint64_t);
    static int32_t pos[CELLS];
    const struct retro_config config = { sizeof(config), RETRO_ABI_VERSION, 1, 1, CELLS, 2, THREADS };
    const struct retro_layer layer = { sizeof(layer), 0, RETRO_TYPE_F16, RETRO_TYPE_F16, HEADS, HEADS, D, D, keys, values,
        sizeof(keys), sizeof(values), sizeof(keys[0]), sizeof(values[0]), sizeof(keys[0][0]), sizeof(values[0][0]) };
    for (int i = 0; i < CELLS; i++) pos[i] = i;
    if (open(&config, "budget=64,min_ctx=0,window=1", &engine, NULL, 0) || add_layer(engine, &layer) || seq_extend(engine, 0, 1900, pos, pos)) return 1;
    for (int32_t at = 1900; at < CELLS; at++) {
        const struct retro_row row = { 0, at, at };
        if (step_begin(engine, &row, 1, THREADS) || select(engine, &attn, 0, THREADS) || select(engine, &attn, 1, THREADS)) return 1;
        pthread_t thread;
        void * code;
        pthread_create(&thread, NULL, attend, (void *) 1);
        const int failed = attend(0) != NULL;
        pthread_join(thread, &code);
        if (failed || code || step_end(engine, 1)) return 1;
    }
    return close(engine);
}

/* no memory may be written to and executed */
static int writable_code(FILE * maps) {
    char line[4096], mode[5];
    int found = 0;
    while (fgets(line, sizeof(line), maps))
        if (sscanf(line, "%*s %4s", mode) == 1 && mode[1] == 'w' && mode[2] == 'x') found++, fputs(line, stdout);
    return found;
}

int main(int argc, char ** argv) {
    FILE * maps = fopen("/proc/self/maps", "r"); /* read when all has been done */
    if (argc < 2 || !maps) return 2;
    if (confine_loading()) { perror("seccomp"); return 2; }
    lib = dlopen(argv[1], RTLD_NOW);
    if (!lib) { puts(dlerror()); return 1; }
    FUNCTION(const char *, version, void);
    version(); /* waits until Go's runtime is up */
    if (confine_working()) { perror("seccomp"); return 2; }
    if (argc > 2 && strcmp(argv[2], "open") == 0) (void) !open("/dev/null", O_RDONLY);
    if (argc > 2 && strcmp(argv[2], "socket") == 0) socket(AF_INET, SOCK_STREAM, 0);
    if (decode()) { puts("a call failed"); return 1; }
    if (writable_code(maps)) return 1;
    puts("ok");
    return 0;
}
