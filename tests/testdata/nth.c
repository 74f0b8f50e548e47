/* Decodes with numbers of threads that change from call to call: what is allowed has the result of one thread, the rest is an
 * error that names the number, and the engine goes on. Calls do not wait for one another, so one thread makes them all. */
#include "retroattn.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { CELLS = 2048, HEADS = 4, D = 32, PROMPT = 1500, LAYERS = 2, THREADS = 4 };

static uint16_t keys[CELLS][HEADS][D], values[CELLS][HEADS][D];
static float q[HEADS][D], out[HEADS][D], want[HEADS][D];
static int32_t pos[CELLS];
static uint64_t engine;
static char text[256];

#define CHECK(cond) do { if (!(cond)) { retro_error(engine, text, sizeof(text)); printf("line %d: %s (%s)\n", __LINE__, #cond, text); return 1; } } while (0)

static int32_t phase(int32_t (*f)(uint64_t, const struct retro_attn *, uint32_t, uint32_t), uint32_t layer, uint32_t nth) {
    const struct retro_attn attn = { sizeof(attn), layer, 1, 0.2f, q, out, sizeof(q), sizeof(q[0]), sizeof(out) };
    int32_t worst = RETRO_OK;
    for (uint32_t ith = 0; ith < nth; ith++) {
        const int32_t code = f(engine, &attn, ith, nth);
        if (code < worst) worst = code;
    }
    return worst;
}

static int begin(uint32_t threads) {
    const struct retro_row row = { 0, PROMPT, PROMPT };
    memset(out, 0, sizeof(out));
    CHECK(retro_seq_truncate(engine, 0, PROMPT) == RETRO_OK);
    CHECK(retro_step_begin(engine, &row, 1, threads) == RETRO_OK);
    return 0;
}

/* a step where these numbers of threads select and attend, in the next layer the other way round */
static int step(uint32_t first, uint32_t second) {
    if (begin(first > second ? first : second)) return 1;
    for (uint32_t layer = 0; layer < LAYERS; layer++) {
        CHECK(phase(retro_select, layer, layer ? second : first) == RETRO_OK);
        CHECK(phase(retro_attend, layer, layer ? first : second) == RETRO_OK);
    }
    CHECK(retro_step_end(engine, 1) == RETRO_OK);
    for (int h = 0; h < HEADS; h++)
        for (int d = 0; d < D; d++) CHECK(fabsf(out[h][d] - want[h][d]) <= 1e-5f*fabsf(want[h][d]));
    return 0;
}

int main(void) {
    const struct retro_config config = { sizeof(config), RETRO_ABI_VERSION, LAYERS, 1, CELLS, 2, THREADS };
    struct retro_layer layer = { sizeof(layer), 0, RETRO_TYPE_F16, RETRO_TYPE_F16, HEADS, HEADS, D, D, keys, values,
        sizeof(keys), sizeof(values), sizeof(keys[0]), sizeof(values[0]), sizeof(keys[0][0]), sizeof(values[0][0]) };
    for (int i = 0; i < CELLS; i++) {
        pos[i] = i;
        for (int h = 0; h < HEADS; h++)
            for (int d = 0; d < D; d++) keys[i][h][d] = values[i][h][d] = (uint16_t) (0x3000 + (i*7 + h*5 + d*13)%1024); /* 0.1 to 0.25 */
    }
    for (int h = 0; h < HEADS; h++)
        for (int d = 0; d < D; d++) q[h][d] = (h + d)%3 - 1.0f;
    CHECK(retro_open(&config, "window=1,budget=64,min_ctx=0", &engine, text, sizeof(text)) == RETRO_OK);
    for (; layer.layer < LAYERS; layer.layer++) CHECK(retro_add_layer(engine, &layer) == RETRO_OK);
    CHECK(retro_seq_extend(engine, 0, PROMPT, pos, pos) == RETRO_OK);

    if (begin(1)) return 1;
    for (uint32_t l = 0; l < LAYERS; l++) CHECK(phase(retro_select, l, 1) == RETRO_OK && phase(retro_attend, l, 1) == RETRO_OK);
    CHECK(retro_step_end(engine, 1) == RETRO_OK);
    memcpy(want, out, sizeof(out));
    CHECK(want[0][0] > 0.1f);

    for (uint32_t a = 1; a <= THREADS; a++)
        for (uint32_t b = 1; b <= THREADS; b++)
            if (step(a, b)) return 1;

    /* more than was opened, and a thread that is none of them */
    for (int wrong = 0; wrong < 4; wrong++) {
        const struct retro_attn attn = { sizeof(attn), 0, 1, 0.2f, q, out, sizeof(q), sizeof(q[0]), sizeof(out) };
        if (begin(2)) return 1;
        if (wrong % 2) CHECK(phase(retro_select, 0, 2) == RETRO_OK);
        const uint32_t nth = wrong < 2 ? THREADS + 1 : 2;
        CHECK((wrong % 2 ? retro_attend : retro_select)(engine, &attn, 2, nth) == RETRO_ERR_ARGUMENT);
        retro_error(engine, text, sizeof(text));
        CHECK(strstr(text, wrong < 2 ? "thread 2 of 5: at most 4" : "thread 2 of 2: at most 4"));
        CHECK(retro_step_end(engine, 0) == RETRO_OK);
        const int32_t next = retro_seq_next(engine, 0); /* the newest tokens are forgotten */
        CHECK(next <= PROMPT && retro_seq_extend(engine, 0, PROMPT - next, pos + next, pos + next) == RETRO_OK);
        if (step(2, 2)) return 1;
    }
    CHECK(retro_step_begin(engine, (struct retro_row[]) {{ 0, PROMPT + 1, PROMPT + 1 }}, 1, THREADS + 1) < 0);
    CHECK(retro_error(engine, text, sizeof(text)) > 0 && strstr(text, "thread"));
    puts("ok");
    return retro_close(engine);
}
