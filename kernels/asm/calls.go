package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// head begins a Go file of an architecture.
func head(arch string) string {
	build := arch + " && !noasm"
	if arch == "other" {
		build = "(!amd64 && !arm64) || noasm"
	}
	return header + "//go:build " + build + "\n\npackage kernels\n"
}

// declarations is the Go file of what the kernels of a level are.
func declarations(l level, kernels []*function) string {
	out := head(l.arch)
	for _, f := range kernels {
		out += fmt.Sprintf("\n//go:noescape\nfunc %s(a *%s) %s\n", f.name+l.suffix, f.args, f.result)
	}
	return out
}

// calls is the Go file of an architecture that has for each kernel the best of the level.
func calls(arch string, kernels map[string][]*function, every map[string]*function) string {
	out := head(arch)
	has := map[string][]level{}
	for _, l := range levels {
		for _, f := range kernels[l.name] {
			if l.arch == arch {
				has[f.name] = append(has[f.name], l)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(every)) {
		f := every[name]
		out += fmt.Sprintf("\nfunc %sASM(a *%s) %s {\n", name, f.args, f.result)
		give, stop := "", "return\n"
		if f.result != "" {
			give, stop = "return ", ""
		}
		for i, l := range slices.Backward(has[name]) {
			call := give + name + l.suffix + "(a)\n"
			if i > 0 {
				call = fmt.Sprintf("if level >= %s {\n%s%s}\n", l.isa, call, stop)
			}
			out += call
		}
		if len(has[name]) == 0 {
			out += "panic(missing)\n"
		}
		out += "}\n"
	}
	return out
}

// cacheTypes are the ends of names of kernels that there are for each type of a cache.
var cacheTypes = []struct{ end, name string }{
	{"F32", "F32"}, {"F16", "F16"}, {"BF16", "BF16"}, {"Q8", "Q8_0"}, {"Q4", "Q4_0"},
}

// switches is the Go file that chooses among these.
func switches(every map[string]*function) string {
	out := header + "package kernels\n"
	for _, name := range slices.Sorted(maps.Keys(every)) {
		base, ok := strings.CutSuffix(name, "F32")
		if !ok || every[base+"Q4"] == nil {
			continue
		}
		out += fmt.Sprintf("\nfunc %sASM(a *%s, t Type) {\nswitch t {\n", base, every[name].args)
		for _, t := range cacheTypes {
			out += fmt.Sprintf("case %s:\n%s%sASM(a)\n", t.name, base, t.end)
		}
		out += "}\n}\n"
	}
	return out
}
