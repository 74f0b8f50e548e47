/*
 * retroattn.h - the C interface of libretroattn. example/decode.c is a whole program.
 *
 * An engine holds the page tables, summaries and output caches of one KV cache
 * that lives in host memory and belongs to the caller. The caller registers the
 * attention layers once, keeps the engine informed about the cells of each
 * sequence, and calls retro_select, then retro_attend, from every worker thread for
 * every layer of a decode step:
 *
 *     retro_open, retro_add_layer ..., retro_plan
 *     for each decode of one new token per sequence, or of several that are exact:
 *         retro_seq_next / retro_seq_extend   bring the position -> cell table up to date
 *         retro_seq_window                    how many past tokens to re-embed, of one new token
 *         retro_step_begin                    the rows of this step
 *         retro_select                        per layer, on each of nth threads; then, when all are back,
 *         retro_attend                        the same
 *         retro_step_end
 *     retro_close
 *
 * Every function returns a status (>= 0 is success) and never raises; the text
 * of the last error of the calling engine is read with retro_error. Only
 * retro_select and retro_attend may be called from several threads at once, and only
 * between retro_step_begin and retro_step_end; another call meanwhile is RETRO_ERR_STATE,
 * and retro_close waits for them. A pointer or a size that leads to memory that cannot be
 * accessed is RETRO_ERR_INTERNAL. Pointers to floats and structs need no alignment.
 *
 * In a child of fork, which has none of the library's threads, every call is RETRO_ERR_STATE
 * (on Linux), or never returns if another thread was in a call just then: load the library in
 * the child only, or call exec. Running out of memory ends the process, and so does loading
 * the library where a limit on addresses (ulimit -v) leaves less than 2 GiB of them. retro_open
 * and the first retro_step_begin are RETRO_ERR_UNSUPPORTED where it leaves too few for an engine.
 */
#ifndef RETROATTN_H
#define RETROATTN_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Raised when a struct or the meaning of a call changes; fields added at the end of retro_stats do not count. */
#define RETRO_ABI_VERSION 8

enum retro_status {
    RETRO_OK              =  0,
    RETRO_ERR_ARGUMENT    = -1, /* null, out of range, or contradicting sizes */
    RETRO_ERR_STATE       = -2, /* call out of order, or unknown engine       */
    RETRO_ERR_UNSUPPORTED = -3, /* valid, but this library cannot do it       */
    RETRO_ERR_INTERNAL    = -4  /* a defect in the library, caught            */
};

/* Element types of K and V, numbered as ggml_type. */
enum retro_type {
    RETRO_TYPE_F32  = 0,
    RETRO_TYPE_F16  = 1,
    RETRO_TYPE_Q4_0 = 2,
    RETRO_TYPE_Q8_0 = 8,
    RETRO_TYPE_BF16 = 30
};

/* Shape of the KV cache. All sizes are checked by retro_open. */
struct retro_config {
    uint32_t struct_size; /* sizeof(struct retro_config)                      */
    uint32_t abi_version; /* RETRO_ABI_VERSION                                */
    uint32_t n_layer;     /* attention layers, 1..1024                        */
    uint32_t n_seq;       /* sequence ids are 0..n_seq-1; 1..256              */
    uint32_t n_cell;      /* KV cells over all streams; 1..2^27               */
    uint32_t n_row;       /* most rows in one step; 1..4096                   */
    uint32_t n_thread;    /* most threads that call retro_attend; 1..1024     */
    uint32_t whole;       /* 1: past tokens are embedded again once, all since the last time:
                           * the model keeps a state that goes back only there; else 0 */
};

/* One attention layer and where its keys and values lie.
 * Row c of K begins at k + c*k_row; KV head h of it at + h*k_head. Same for V. */
struct retro_layer {
    uint32_t struct_size;
    uint32_t layer;       /* 0..n_layer-1                                     */
    uint32_t type_k, type_v;
    uint32_t n_head;      /* query heads, a multiple of n_head_kv             */
    uint32_t n_head_kv;
    uint32_t d_k, d_v;    /* head sizes, multiples of 8 (quantised: of 32), at most 1024 */
    const void * k;
    const void * v;       /* may be a part of the rows of K, as of latents    */
    uint64_t k_size, v_size; /* bytes readable at k and v                     */
    uint64_t k_row, v_row;   /* bytes between cells                           */
    uint64_t k_head, v_head; /* bytes between KV heads of a cell              */
    float    soft_cap;    /* above 0: logits become soft_cap*tanh(x/soft_cap) */
    const float * sinks;  /* NULL, or n_head logits that have no value (copied) */
    uint32_t rot_k;       /* 0, or: q and K come multiplied by an orthonormal Walsh-Hadamard
                           * matrix per rot_k channels, a power of two that divides d_k */
};

/* Times of passes through the model, measured by the caller without this library: rows
 * tokens with little context before them, on the threads that it decodes with. What is of a device
 * is measured behind a text of some thousand tokens, by an engine of its own. */
struct retro_passes {
    uint32_t struct_size;
    uint32_t n_thread;    /* threads that call retro_attend when decoding     */
    uint32_t n;           /* passes that were measured, at most 8; 0: none    */
    uint32_t rows[8];     /* of each, rising, the first 1                     */
    uint64_t ns[8];       /* and what it takes                                */

    /* Of a host where a device, such as a GPU, computes dense layers: */
    uint32_t device;      /* not 0                                            */
    uint32_t n_step;      /* decode steps that were measured with the library, at most 8; 0 where layers are not on the device */
    uint32_t step_thread[8]; /* threads that called retro_attend in them      */
    uint64_t step_ns[8];  /* and what they took                               */
    uint32_t n_batch;     /* batches of a sequence's next tokens that were measured, at most 8; 0: none */
    uint32_t batch_depth; /* tokens before them                               */
    uint32_t batch_row[8]; /* rising, from 2 on: as drafts have, up to a micro-batch of a prompt */
    uint64_t batch_device_ns[8]; /* what they took without the library        */
    uint64_t batch_ns[8]; /* the same with exact rows                         */
};

/* One row of a step. Rows of one sequence are adjacent, with rising positions. Either
 * the last one is the sequence's newest token, and those before it are past tokens, or
 * all of them are new and exact, as those of a prompt or of drafts to verify. A draft is a
 * newest token that retro_seq_truncate takes back: what the engine learns from one how much to
 * read, it knows for the next, while other tokens that are taken back leave nothing. */
struct retro_row {
    int32_t seq;
    int32_t pos;
    int32_t cell;
    int32_t exact;        /* not 0: new, attends to all that comes before it and to itself */
    int32_t draft;        /* not 0: a draft, without past tokens                */
};

/* Query and output of one layer. Row r, query head h of q begins at
 * q + r*q_row + h*q_head bytes; out is [rows][n_head*d_v] with out_row bytes
 * between rows. Both float32. */
struct retro_attn {
    uint32_t struct_size;
    uint32_t layer;
    uint32_t n_row;
    float    scale;       /* factor on q.k                                    */
    const void * q;
    void       * out;
    uint64_t q_row, q_head;
    uint64_t out_row;
};

/* Counters since retro_open. Figures of far tokens are summed over layers and KV heads. Fields are only ever added at
 * the end: retro_get_stats fills those that lie within struct_size, and leaves what it does not know.
 * The counters are written here by go generate ./retro/stats. */
struct retro_stats {
    uint32_t struct_size;
    uint32_t n_cell;            /* as configured                              */
    uint64_t tokens;            /* new tokens decoded */
    uint64_t sparse_tokens;     /* new tokens for which some of the context was left out */
    uint64_t short_tokens;      /* new tokens in contexts shorter than min_ctx */
    uint64_t exact_tokens;      /* tokens of prompts and drafts, in no other counter */
    uint64_t corrected_tokens;  /* past tokens embedded again that read more */
    uint64_t rewritten_tokens;  /* past tokens embedded again */
    uint64_t far_tokens;        /* far tokens that sparse tokens could have read */
    uint64_t selected_tokens;   /* far tokens read for sparse tokens */
    uint64_t supplement_tokens; /* far tokens added to past tokens */
    uint64_t retired_selected;  /* far tokens selected by tokens that have left the window */
    uint64_t retired_seen;      /* far tokens seen in the end by tokens that have left the window */
    uint64_t kv_read_bytes;     /* bytes of K and V read */
    uint64_t kv_full_bytes;     /* bytes of K and V read if every token attended to all */
    uint64_t scan_bytes;        /* bytes of page summaries and token codes read */
    uint64_t summary_bytes;     /* bytes held by summaries and codes */
    uint64_t ring_bytes;        /* bytes held by the output cache */
    uint64_t attention_ns;      /* time in selection and attention, of one thread */
    uint64_t audited_heads;     /* query heads whose kept attention was measured, see option audit */
    uint64_t kept_mass;         /* sum over audited heads of the attention kept, in millionths */
    uint64_t audit_bytes;       /* bytes of K read for audits, not in kv_read_bytes */
    uint64_t late_pages;        /* pages of a layer and KV head that new tokens summarised, as no prompt had */
};

/* What retro_report writes. */
enum retro_report_form {
    RETRO_REPORT_LINE    = 0, /* for people, e.g. "64 of 64 tokens sparse, 9.1 % of KV read, ..." */
    RETRO_REPORT_JSON    = 1, /* the same and more, a JSON object of numbers          */
    RETRO_REPORT_METRICS = 2  /* all counters and figures, as Prometheus reads them, with the prefix "llamacpp:" */
};

/* The library's own build leaves the prototypes out: cgo writes them without const. */
#ifndef RETRO_NO_PROTOTYPES

/* Library version as text, e.g. "0.1.0 (avx2)". Never freed. */
const char * retro_version(void);

/* RETRO_ABI_VERSION of the library, for callers that were not compiled with this header. */
uint32_t retro_abi_version(void);

/* Checks an options string without an engine. 0, or an error; the sentence goes
 * to msg (NUL-terminated, cut at cap). msg may be NULL. */
int32_t retro_check_options(const char * options, char * msg, uint32_t cap);

/* Opens an engine; its handle (> 0) goes to *engine. options: "key=value,...",
 * NULL or "" for defaults. On error the sentence goes to msg as above. */
int32_t retro_open(const struct retro_config * config, const char * options, uint64_t * engine, char * msg, uint32_t cap);
int32_t retro_close(uint64_t engine);

/* Registers a layer; all must be there before the first retro_step_begin. */
int32_t retro_add_layer(uint64_t engine, const struct retro_layer * layer);

/* Chooses budget, window and period where the options leave them open, after all layers were added and
 * before anything else. Without passes (NULL, or n = 0; NULL: no device, n_thread is that of the config) it is a question:
 * 1 if nothing needs to be measured, 0 if the caller should measure passes and call again. With them it measures
 * the attention, for about a second, decides, writes the file that the options name (plan=, plan_cache=), and returns 1.
 * One line for people is left in line (NUL-terminated, cut at cap): what was chosen and why, or warnings, or nothing.
 * An engine that gets no passes has a budget of 1024 and a window of 1 where they are open; with 0, line says so. */
int32_t retro_plan(uint64_t engine, const struct retro_passes * passes, char * line, uint32_t cap);

/* What the plan chose for a host with a device, of use after retro_plan. The most tokens of a sequence at once whose
 * attention is faster here, 0: all, as without a device. */
int32_t retro_plan_rows(uint64_t engine);
/* The threads to decode with, 0: as many as the host has for it. */
int32_t retro_plan_threads(uint64_t engine);

/* The most past rows per sequence that a step can ask for (window - 1). Of use after retro_plan. */
int32_t retro_max_window(uint64_t engine);

/* First position whose cell the engine does not know (0: knows nothing). */
int32_t retro_seq_next(uint64_t engine, int32_t seq);
/* Appends n cells with positions that do not fall, from the last known one on. Of tokens with the same position, as
 * those of an image, all are seen by the tokens behind them. */
int32_t retro_seq_extend(uint64_t engine, int32_t seq, uint32_t n, const int32_t * pos, const int32_t * cells);
/* Forgets positions >= pos. seq = -1: every sequence. pos = 0: everything. */
int32_t retro_seq_truncate(uint64_t engine, int32_t seq, int32_t pos);
/* Makes dst, which must hold nothing, a copy of what the engine knows of src at positions < end, in cells that lie
 * cell_offset higher. What K and V are there for src must be there for dst by the next step. */
int32_t retro_seq_copy(uint64_t engine, int32_t src, int32_t dst, int32_t end, int32_t cell_offset);
/* Writes what the engine knows of the sequence, except for its cells, and note_size bytes (at most 2^20) of the
 * caller's. *size: the bytes written, 0 if nothing is known; dst = NULL: only that. Too small a cap is an error. */
int32_t retro_seq_save(uint64_t engine, int32_t seq, const void * note, uint64_t note_size, void * dst, uint64_t cap, uint64_t * size);
/* Takes over what retro_seq_save wrote, after retro_seq_extend up to at least the positions of then. The note is cut
 * at note_cap; *note_size is its length. RETRO_ERR_UNSUPPORTED: saved by other options, model or version;
 * RETRO_ERR_ARGUMENT: damaged, or other positions. After an error the sequence is as it was, and usable. */
int32_t retro_seq_load(uint64_t engine, int32_t seq, const void * src, uint64_t size, void * note, uint64_t note_cap, uint64_t * note_size);
/* Past tokens to re-embed together with a new token at pos (0..retro_max_window). */
int32_t retro_seq_window(uint64_t engine, int32_t seq, int32_t pos);

/* n_row = 0 is for prompts that the host computes: retro_select, with attn of a layer and nothing else, builds the summaries
 * of what was extended, so that the next token need not. Keys of the layer must be there; retro_attend is not called. */
int32_t retro_step_begin(uint64_t engine, const struct retro_row * rows, uint32_t n_row, uint32_t n_thread);
/* Both on each thread ith of nth, with the same attn (retro_select ignores out). Keys and values of the step's rows
 * must be there for the first. Nothing in them waits: the host's barrier lies between the two calls, and after the second. */
int32_t retro_select(uint64_t engine, const struct retro_attn * attn, uint32_t ith, uint32_t nth);
int32_t retro_attend(uint64_t engine, const struct retro_attn * attn, uint32_t ith, uint32_t nth);
/* ok = 0: the step failed; the newest tokens are forgotten, the windows reset. */
int32_t retro_step_end(uint64_t engine, int32_t ok);

int32_t retro_get_stats(uint64_t engine, struct retro_stats * stats);
/* What was counted, as text: of stats, or only what came after an earlier reading (since = NULL: all). Returns
 * its length without NUL; cut at cap. May be called at any time, from any thread. form is a retro_report_form. */
int32_t retro_report(int32_t form, const struct retro_stats * stats, const struct retro_stats * since, char * buf, uint32_t cap);
/* Text of the last error of this engine (0: of calls without one). */
int32_t retro_error(uint64_t engine, char * buf, uint32_t cap);

#endif /* RETRO_NO_PROTOTYPES */

#ifdef __cplusplus
}
#endif

#endif
