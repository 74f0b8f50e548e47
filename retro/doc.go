// Package retro is the engine: sparse decode attention over a KV cache that the
// host owns, with retrospective correction of the last tokens (RetroAttention,
// arXiv 2508.09001) on a selection of tokens in two stages, the first of which
// is that of Quest (arXiv 2406.10774).
//
// It owns the position -> cell table of each sequence, the page summaries and
// token codes, the selection, the output cache (ring) and the statistics. It reads K and V where
// the host keeps them and never writes there. It must not know of llama.cpp, of
// cgo, or of instruction sets: numbers are crunched by package kernels.
//
// # One step
//
// A step decodes one new token of one or more sequences, optionally together
// with up to window-1 older tokens of each, which the host embeds again:
//
//	StepBegin   appends the new tokens to the tables and decides, per sequence,
//	            whether this step is exact or sparse and which rows see what
//	Select      per layer, from every worker thread: scores and chooses
//	Attend      likewise, after a barrier of the host's; see attend.go
//	StepEnd     commits the new tokens to the ring, or forgets them
//
// # Pages and tokens
//
// A page is a run of Page consecutive entries of a sequence's table, so it is
// logical: its cells may lie anywhere. For a row at entry t the pages split into
// the sink (page 0), the local pages that cover at least the newest Local
// entries up to t, and the far pages between. Sink and local are always read.
// A page turns far when all its tokens are final, because Window <= Local.
//
// Far pages are scored by their summaries, the mean and spread of their keys.
// Of the best, Candidates times the budget, each token is scored by its residual
// code (how its key differs from the mean, in units of the spread), and the
// budget of tokens with the best estimates is read. Select says where whole pages are.
//
// Of latent attention one KV head holds latents for all query heads, whose first channels are the
// values as well and whose last hold the position. The two parts have summaries and codes of their
// own (see part): their sizes differ.
//
// Sixteen pages make a group. In a long context one token in keepSteps scores all pages, and keeps
// the groups with the best ones for the others, so that the scan grows slower than the context.
// Pages in which a token found much are candidates of the next one, too (see kept).
//
// # Where things are
//
//	cut                 what the options mean for a layer in a step
//	sequence, summary, part, slab   tables of entries, summaries, codes, their memory
//	footprint           how much memory an engine may take
//	step                what a step is; windows and their correction
//	select, score, codes, need, choose, keep   the first phase, by many threads: see Select
//	claim               which thread does what of it
//	attend, chunk, ring     the second, and the output cache
//	exact                   rows of prompts and drafts, for which nothing is chosen
//	build               summaries of a prompt, while it is processed
//	audit, stats            what was kept, and what is counted
//	state, coder        saved and copied sequences
//	plan, timer, team   the engine's part of choosing options: what it is, and the time that steps take
//
// Packages options, plan and failure lie below: what a user can choose, how what was left open is
// chosen, and the kinds of errors. They know nothing of the engine.
//
// # Saved sequences
//
// SeqSave writes all that decoding a sequence depends on except for K, V and the
// cells; after SeqLoad, in any engine of the same shape and options, it goes on
// with the same bits. A new field is one line, in codeSequence or codeSlot, and a
// higher stateVersion.
package retro
