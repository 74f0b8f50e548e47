// Command build fetches llama.cpp and a small model, patches and builds llama.cpp with libretroattn
// beside it, runs the demo and the tests, and packs archives. Run it as "go run ./build COMMAND"
// anywhere in the checkout.
//
// # What it owns
//
// The pins of what is fetched, the cache of what was built, the patch series, the archive, and the
// report of the tests. Every download is checked against a hash, and every product of the cache has
// a stamp that says what it was made from.
//
// It must not know how attention works: it starts the other programs and tests, and reads what they
// print.
//
// # Where things are
//
//	main, tools, progress          the commands; programs that are run, and how far they are
//	checks, stages, programs, upstream   the tests, in which order, and what they run
//	tally, report                  what came of them, and what is said of it
//	fuzz                           fuzzing, briefly or for an hour
//	pins, source, model, cache     what is fetched, and where it is kept
//	patch, rebase                  the patch series on a checkout, and on another version
//	target, cross                  other systems and processors: compilers, names of files, tests
//	native, library, runtime       builds of llama.cpp and of libretroattn
//	page, page_licences, page/     llama-server's web page
//	dist, dist_llama, deb, sbom, licences, archive, install/   the archive
//	demo, document, answer         the demo
//	others                         what other programs did to a measurement
//	lab                            the laboratory, which measures quality and speed
package main
