package main

import (
	"bytes"
	"os"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The test itself is a program made by Go.
func TestSBOM(t *testing.T) {
	program, err := os.Executable()
	require.NoError(t, err)
	content, err := os.ReadFile(program)
	require.NoError(t, err)
	source := t.TempDir()
	writeFiles(t, source, map[string]string{
		"vendor/json/json.hpp": "// version 3.12.0\n", "vendor/plain/plain.h": "int x;\n"})
	p, err := loadPins("..")
	require.NoError(t, err)
	a := &app{ctx: t.Context(), pins: p}
	members := []member{{name: "bin/a", content: content, program: true},
		{name: "bin/b", content: content, program: true}, {name: "README.md", content: []byte("a")},
		{name: "patches/0001-a.patch", content: []byte("a")}}
	made, err := a.sbom("1.2.3", source, members)
	require.NoError(t, err)
	var bom cdx.BOM
	require.NoError(t, cdx.NewBOMDecoder(bytes.NewReader(made.content),
		cdx.BOMFileFormatJSON).Decode(&bom))
	assert.Equal(t, "1.2.3", bom.Metadata.Component.Version)
	found := map[string]cdx.Component{}
	for _, c := range *bom.Components {
		assert.NotContains(t, found, c.BOMRef, "each once")
		found[c.BOMRef] = c
	}
	llama := found["pkg:github/ggml-org/llama.cpp@"+p.Llama.Git.Tag]
	assert.Equal(t, p.Llama.Tree, (*llama.Properties)[0].Value)
	assert.Equal(t, "patches/0001-a.patch", (*llama.Pedigree.Patches)[0].Diff.URL)
	assert.Equal(t, "3.12.0", found["vendor/json/json.hpp"].Version)
	assert.Contains(t, found, "vendor/plain/plain.h")
	kong := 0
	for ref, c := range found {
		if c.Name == "github.com/alecthomas/kong" {
			kong++
			assert.Equal(t, "pkg:golang/github.com/alecthomas/kong@"+c.Version, ref)
			assert.Len(t, (*c.Hashes)[0].Value, 64)
		}
	}
	assert.Equal(t, 1, kong)
	assert.Len(t, *(*bom.Dependencies)[0].Dependencies, len(found))

	again, err := a.sbom("1.2.3", source, members)
	require.NoError(t, err)
	assert.Equal(t, made, again)
	made, err = a.sbom("1.2.3", "", members[:1])
	require.NoError(t, err)
	assert.NotContains(t, string(made.content), "llama.cpp")
}
