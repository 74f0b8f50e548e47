/* Decodes, forks, and says what a child can do: exit, exec, and call in, where every export must return an error at once,
 * however often it is called. The parent decodes on, with the same result. */
#include "retroattn.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CELLS = 2048, HEADS = 2, D = 32, PROMPT = 1500 };

static uint16_t keys[CELLS][HEADS][D], values[CELLS][HEADS][D];
static float q[HEADS][D], out[HEADS][D];
static int32_t pos[CELLS];
static uint64_t engine;

#define CHECK(cond) do { if (!(cond)) { printf("line %d: %s\n", __LINE__, #cond); fflush(stdout); return 1; } } while (0)

static int step(int32_t at) {
    const struct retro_row row = { 0, at, at };
    const struct retro_attn attn = { sizeof(attn), 0, 1, 0.2f, q, out, sizeof(q), sizeof(q[0]), sizeof(out) };
    memset(out, 0, sizeof(out));
    CHECK(retro_step_begin(engine, &row, 1, 1) == RETRO_OK && retro_select(engine, &attn, 0, 1) == RETRO_OK);
    CHECK(retro_attend(engine, &attn, 0, 1) == RETRO_OK && retro_step_end(engine, 1) == RETRO_OK);
    return 0;
}

/* Children end by themselves when a call does not return. */
static int exits(void) { return 0; }
static int execs(void) { return execl("/bin/true", "true", (char *) NULL); }
static int calls(void) {
    enum { TIMES = 100000 }; /* enough for a garbage collection, if a call allocates anything */
    char text[256];
    uint64_t n;
    const struct retro_config config = { sizeof(config), RETRO_ABI_VERSION, 1, 1, CELLS, 2, 1 };
    const struct retro_layer layer = { sizeof(layer) };
    const struct retro_row row = { 0, PROMPT + 1, PROMPT + 1 };
    const struct retro_attn attn = { sizeof(attn), 0, 1, 0.2f, q, out, sizeof(q), sizeof(q[0]), sizeof(out) };
    struct retro_stats stats = { sizeof(stats) };
    for (int i = 0; i < TIMES; i++) {
        CHECK(retro_check_options("", text, sizeof(text)) == RETRO_ERR_STATE && strstr(text, "forked"));
        text[0] = 0;
        CHECK(retro_open(&config, "", &n, text, sizeof(text)) == RETRO_ERR_STATE && strstr(text, "load it in the child only, or call exec"));
        CHECK(retro_add_layer(engine, &layer) == RETRO_ERR_STATE);
        CHECK(retro_plan(engine, NULL, text, sizeof(text)) == RETRO_ERR_STATE);
        CHECK(retro_max_window(engine) == RETRO_ERR_STATE);
        CHECK(retro_seq_next(engine, 0) == RETRO_ERR_STATE);
        CHECK(retro_seq_extend(engine, 0, 1, pos, pos) == RETRO_ERR_STATE);
        CHECK(retro_seq_truncate(engine, 0, 0) == RETRO_ERR_STATE);
        CHECK(retro_seq_copy(engine, 0, 0, 1, 0) == RETRO_ERR_STATE);
        CHECK(retro_seq_save(engine, 0, NULL, 0, NULL, 0, &n) == RETRO_ERR_STATE);
        CHECK(retro_seq_load(engine, 0, text, 1, NULL, 0, &n) == RETRO_ERR_STATE);
        CHECK(retro_seq_window(engine, 0, PROMPT + 1) == RETRO_ERR_STATE);
        CHECK(retro_step_begin(engine, &row, 1, 1) == RETRO_ERR_STATE);
        CHECK(retro_select(engine, &attn, 0, 1) == RETRO_ERR_STATE);
        CHECK(retro_attend(engine, &attn, 0, 1) == RETRO_ERR_STATE);
        CHECK(retro_step_end(engine, 1) == RETRO_ERR_STATE);
        CHECK(retro_get_stats(engine, &stats) == RETRO_ERR_STATE);
        CHECK(retro_report(RETRO_REPORT_LINE, &stats, NULL, text, sizeof(text)) == RETRO_ERR_STATE);
        CHECK(retro_error(engine, text, sizeof(text)) > 0 && strstr(text, "forked"));
        CHECK(retro_close(engine) == RETRO_ERR_STATE);
    }
    CHECK(retro_version() && retro_abi_version() == RETRO_ABI_VERSION);
    return 0;
}

static int child(const char * what, int (*does)(void)) {
    int status;
    const pid_t pid = fork();
    if (pid == 0) {
        alarm(120);
        _exit(does());
    }
    if (pid > 0 && waitpid(pid, &status, 0) == pid && status == 0) return 0;
    printf("the child that %s: status %x\n", what, status);
    return 1;
}

int main(void) {
    const struct retro_config config = { sizeof(config), RETRO_ABI_VERSION, 1, 1, CELLS, 2, 1 };
    const struct retro_layer layer = { sizeof(layer), 0, RETRO_TYPE_F16, RETRO_TYPE_F16, HEADS, HEADS, D, D, keys, values,
        sizeof(keys), sizeof(values), sizeof(keys[0]), sizeof(values[0]), sizeof(keys[0][0]), sizeof(values[0][0]) };
    for (int i = 0; i < CELLS; i++) {
        pos[i] = i;
        for (int d = 0; d < D; d++) keys[i][0][d] = values[i][1][d] = (uint16_t) (0x3000 + (i*7 + d*13)%1024); /* 0.1 to 0.25 */
    }
    for (int d = 0; d < D; d++) q[0][d] = q[1][d] = d%3 - 1.0f;
    CHECK(retro_open(&config, "window=1,budget=64,min_ctx=0,audit=0", &engine, NULL, 0) == RETRO_OK);
    CHECK(retro_add_layer(engine, &layer) == RETRO_OK && retro_seq_extend(engine, 0, PROMPT, pos, pos) == RETRO_OK);
    float want[HEADS][D];
    if (step(PROMPT)) return 1;
    memcpy(want, out, sizeof(out));
    CHECK(want[1][0] != 0);
    if (child("exits", exits) || child("execs", execs) || child("calls in", calls)) return 1;
    CHECK(retro_seq_truncate(engine, 0, PROMPT) == RETRO_OK);
    if (step(PROMPT)) return 1;
    CHECK(memcmp(want, out, sizeof(out)) == 0);
    CHECK(retro_close(engine) == RETRO_OK);
    puts("ok");
    return 0;
}
