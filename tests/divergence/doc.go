// Package divergence measures how faithful a policy of sparse attention is: a model
// decodes given texts token by token, and what it predicts is compared with what it
// predicts under full attention.
//
// It owns the streams of tokens and the measures of one prediction (KL, NLL, agreement). It knows
// llama.cpp through bridge, and must not know reports, tasks, or what the options of a policy mean.
package divergence
