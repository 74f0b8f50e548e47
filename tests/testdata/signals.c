/* Decodes while a timer's signals arrive, whose handler was installed after the library was loaded, without SA_ONSTACK
 * and with a need for stack, and sees on which stack it runs. */
#include "retroattn.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>

enum { CELLS = 4096, HEADS = 4, D = 64, PROMPT = 4000 };

static uint16_t keys[CELLS][HEADS][D], values[CELLS][HEADS][D];
static float q[HEADS][D], out[HEADS][D];

static char * top; /* of the main thread's stack, about */
static volatile long hits, foreign;

static void handler(int signal) {
    (void) signal;
    volatile char deep[8192];
    for (size_t i = 0; i < sizeof(deep); i += 64) deep[i] = 1;
    stack_t alternate;
    sigaltstack(NULL, &alternate);
    const uintptr_t below = (uintptr_t) top - (uintptr_t) deep;
    hits++;
    foreign += !(alternate.ss_flags & SS_ONSTACK) && below > 8 << 20;
}

int main(void) {
    char here;
    top = &here;
    uint64_t engine;
    static int32_t pos[CELLS];
    const struct retro_config config = { sizeof(config), RETRO_ABI_VERSION, 1, 1, CELLS, 2, 1 };
    const struct retro_layer layer = { sizeof(layer), 0, RETRO_TYPE_F16, RETRO_TYPE_F16, HEADS, HEADS, D, D, keys, values,
        sizeof(keys), sizeof(values), sizeof(keys[0]), sizeof(values[0]), sizeof(keys[0][0]), sizeof(values[0][0]) };
    for (int i = 0; i < CELLS; i++) pos[i] = i;
    if (retro_open(&config, "window=1", &engine, NULL, 0) || retro_add_layer(engine, &layer)) return 1;

    struct sigaction action = { .sa_handler = handler, .sa_flags = SA_RESTART };
    sigaction(SIGALRM, &action, NULL);
    const struct itimerval often = { { 0, 200 }, { 0, 200 } };
    int started = 0;
    for (int round = 0; hits < 200 && round < 10000; round++) {
        if (retro_seq_extend(engine, 0, PROMPT, pos, pos)) return 1;
        for (int32_t at = PROMPT; at < CELLS; at++) {
            const struct retro_row row = { 0, at, at };
            const struct retro_attn attn = { sizeof(attn), 0, 1, 0.2f, q, out, sizeof(q), sizeof(q[0]), sizeof(out) };
            if (retro_step_begin(engine, &row, 1, 1)) return 1;
            if (!started++) setitimer(ITIMER_REAL, &often, NULL);
            if (retro_select(engine, &attn, 0, 1) || retro_attend(engine, &attn, 0, 1) || retro_step_end(engine, 1)) return 1;
        }
        retro_seq_truncate(engine, 0, 0);
    }
    const struct itimerval never = { { 0, 0 }, { 0, 0 } };
    setitimer(ITIMER_REAL, &never, NULL);
    if (hits < 200 || foreign) { printf("%ld signals, %ld on a stack of the library's\n", hits, foreign); return 1; }
    puts("ok");
    return retro_close(engine);
}
