// Package plan chooses the options that a user left open: the budget, window and period with the
// best predicted fidelity among those whose predicted time per token is at most so many times that
// of the fastest as the target allows. Options that the user set are not changed, only planned
// around.
//
// A plan is a function of the options, of the Case, of the host's Passes, and of times of attention
// that a Timer measures. It must not know the engine, which is one, nor where keys and values lie.
//
//	plan       finding a plan in a file or making it
//	measure, fit   the times of steps, and a formula for them
//	decide     what is tried, and what is best
//	fidelity   what is known of the ways to select
//	file       plans that are kept
package plan
