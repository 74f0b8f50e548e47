// Command retroattn tells what of the sparse attention this machine and a model can use: "retroattn
// doctor -m MODEL". It lies beside llama.cpp's programs in an archive, and needs nothing else.
//
// It owns what it measures of the machine, in less than a second, and how that is told. What of a
// model is served says libllama, which reads no weights for it, and what the plan would choose the
// engine, with keys and values made up here. It decodes nothing.
package main
