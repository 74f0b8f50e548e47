//go:build linux

package bridge

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/tests/harness"
)

var goodABI = fmt.Sprintf("llama=0.5.0 model_params=80 context_params=160 batch=56 chat_message=16 chain_params=1 token_data=12 token_data_array=32 retro_stats=272 retro_abi=%d", retroABI)

func TestCheckABI(t *testing.T) {
	require.NoError(t, checkABI("0.5.0", goodABI))
	for _, other := range []string{"", strings.Replace(goodABI, "160", "168", 1),
		goodABI + " more=1", strings.Replace(goodABI, "retro_abi=", "retro_abi=1", 1)} {
		err := checkABI("0.5.0", other)
		require.ErrorIs(t, err, ErrLayout)
		assert.Contains(t, err.Error(), fmt.Sprintf("%q", other))
		assert.Contains(t, err.Error(), fmt.Sprintf("%q", goodABI))
	}
	header, err := os.ReadFile(filepath.Join("..", "capi", "retroattn.h"))
	require.NoError(t, err)
	assert.Contains(t, string(header), fmt.Sprintf("#define RETRO_ABI_VERSION %d\n", retroABI))
}

// stub is a library in whose place another version stands.
type stub map[string]string // function -> its definition in C, "" = not there

func (s stub) build(t *testing.T, path string, symbols []symbol) {
	t.Helper()
	cc := harness.Compiler(t)
	var code strings.Builder
	code.WriteString("#include <stddef.h>\n")
	for _, f := range symbols {
		if text, given := s[f.name]; given {
			code.WriteString(text + "\n")
		} else {
			fmt.Fprintf(&code, "size_t %s(void) { return 1; }\n", f.name)
		}
	}
	source := path + ".c"
	require.NoError(t, os.WriteFile(source, []byte(code.String()), 0o600))
	cc.Run(t, "-shared", "-fPIC", "-o", path, source)
}

// returnsStruct defines a function that returns a struct with these bytes.
func returnsStruct(name string, data []byte) string {
	values := strings.Trim(strings.ReplaceAll(fmt.Sprint(data), " ", ","), "[]")
	return fmt.Sprintf("struct %s_t { long long align; char b[%d]; }; struct %s_t %s(void) { static const union { unsigned char b[%d]; struct %s_t s; } v = {{%s}}; return v.s; }",
		name, len(data)-8, name, name, len(data), name, values)
}

func bytesOf[T any](v T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(&v)),
		unsafe.Sizeof(v))
}

const driftEnv = "BRIDGE_TEST_DRIFT"

// A library of another version is refused with one sentence, before anything is computed with it.
func TestDrift(t *testing.T) {
	returnsText := func(name, text string) string { return fmt.Sprintf("const char * %s(void) { return %q; }", name, text) }
	const model, context, abi = "llama_model_default_params", "llama_context_default_params",
		"llama_retro_attn_abi"
	grown := knownContextDefaults.cContextParams
	grown.nCtx, grown.nBatch = 0, 512 // as if a field came before
	fits := func(changes stub) stub {
		s := stub{
			"llama_version": returnsText("llama_version", "0.5.3-dev"),
			model:           returnsStruct(model, bytesOf(knownModelDefaults.cModelParams)),
			context:         returnsStruct(context, bytesOf(knownContextDefaults.cContextParams)),
			abi:             returnsText(abi, strings.Replace(goodABI, "0.5.0", "0.5.3-dev", 1)),
		}
		for name, text := range changes {
			s[name] = text
		}
		return s
	}
	unpatched := stub{}
	for _, f := range new(api).patchSymbols() {
		unpatched[f.name] = ""
	}
	const versionOfRetro = "retro_abi_version"
	retro := stub{"retro_version": returnsText("retro_version", "9"),
		versionOfRetro: fmt.Sprintf("unsigned %s(void) { return %d; }", versionOfRetro, retroABI)}
	for name, c := range map[string]struct {
		llama, retro stub
		load, ask    string // what the errors of Load and RetroVersion contain
	}{
		"fits": {fits(nil), retro, "", ""},
		"version": {fits(stub{"llama_version": returnsText("llama_version", "0.6.0")}),
			retro, `which knows llama.cpp 0.5: its version is "0.6.0"`, ""},
		"old": {fits(stub{"llama_sampler_init_penalties": ""}), retro,
			"function llama_sampler_init_penalties is missing", ""},
		"context params": {fits(stub{context: returnsStruct(context, bytesOf(grown))}), retro,
			"llama_context_params of its version 0.5.3-dev is another struct", ""},
		"patched sizes": {fits(stub{abi: returnsText(abi, "llama=0.5.3-dev model_params=88")}),
			retro, `it was built with "llama=0.5.3-dev model_params=88", this package with "llama=0.5.3-dev model_params=80 context`, ""},
		"older patch": {fits(stub{abi: ""}), retro, "",
			"or has an older one: function llama_retro_attn_abi is missing"},
		"unpatched":  {fits(unpatched), retro, "", "lacks the retroattn patch"},
		"no library": {fits(nil), nil, "", "no " + retroName + " in"},
		"newer library": {fits(nil), stub{"retro_version": retro["retro_version"],
			versionOfRetro: "unsigned retro_abi_version(void) { return 77; }"}, "",
			fmt.Sprint("has version 77 of the interface, this package and the libllama have ",
				retroABI)},
		"older library": {fits(nil), stub{"retro_version": retro["retro_version"],
			versionOfRetro: ""}, "", "another version than this package knows: function retro_abi_version is missing"},
		"library in parts": {fits(nil), stub{"retro_version": ""}, "",
			"function retro_version is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			all := new(api)
			c.llama.build(t, filepath.Join(dir, llamaNames[0]),
				append(all.llamaSymbols(), all.patchSymbols()...))
			if c.retro != nil {
				c.retro.build(t, filepath.Join(dir, retroName), all.retroSymbols())
			}
			self, err := os.Executable()
			require.NoError(t, err)
			cmd := exec.Command(self, "-test.run", "^TestDriftChild$", "-test.v")
			cmd.Env = append(os.Environ(), driftEnv+"="+dir)
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, string(out))
			if c.load != "" {
				assert.Contains(t, string(out), "\nload: "+ErrLayout.Error())
				assert.Contains(t, string(out), c.load)
				return
			}
			assert.Contains(t, string(out), "\nload: ok\n")
			if c.ask == "" {
				assert.Contains(t, string(out), "\nask: 9\n")
				return
			}
			assert.Contains(t, string(out), "\nask: "+ErrRetroAbsent.Error())
			assert.Contains(t, string(out), c.ask)
		})
	}
}

// TestDriftChild loads what TestDrift built.
func TestDriftChild(t *testing.T) {
	dir := os.Getenv(driftEnv)
	if dir == "" {
		t.Skip("run by TestDrift")
	}
	lib, err := Load(Paths{Dir: dir})
	if err != nil {
		fmt.Printf("\nload: %v\n", err)
		return
	}
	fmt.Print("\nload: ok\n")
	version, err := lib.RetroVersion()
	if err != nil {
		fmt.Printf("\nask: %v\n", err)
		return
	}
	fmt.Printf("\nask: %s\n", version)
}
