package main

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// sbomName is the bill of materials in an archive.
const sbomName = "sbom.cdx.json"

// sbom lists what is linked into an archive, for programs that look for what is known to be unsafe:
// the Go modules as the members themselves tell, the packages in llama-server's web page, and
// llama.cpp with what it brings along.
// source is llama.cpp's tree, "" where it is left out.
func (a *app) sbom(version, source string, members []member) (member, error) {
	bom := cdx.NewBOM()
	bom.Metadata = &cdx.Metadata{Component: &cdx.Component{BOMRef: "retroattn", Name: "retroattn",
		Type: cdx.ComponentTypeApplication, Version: version, Licenses: licence("MIT")}}
	var parts []cdx.Component
	patches := []cdx.Patch{}
	for _, e := range sorted(members) {
		if strings.HasPrefix(e.name, "patches/") && path.Ext(e.name) == ".patch" {
			patches = append(patches, cdx.Patch{Type: cdx.PatchTypeUnofficial,
				Diff: &cdx.Diff{URL: e.name}})
		}
		if e.name == pageLicenceMember {
			parts = append(parts, pageModules(string(e.content))...)
		}
		modules, err := goModules(e)
		if err != nil {
			return member{}, err
		}
		parts = append(parts, modules...)
	}
	if source != "" {
		llama, err := a.llamaComponents(source, patches)
		if err != nil {
			return member{}, err
		}
		parts = append(parts, llama...)
	}
	slices.SortFunc(parts,
		func(a, b cdx.Component) int { return strings.Compare(a.BOMRef, b.BOMRef) })
	parts = slices.CompactFunc(parts, func(a, b cdx.Component) bool { return a.BOMRef == b.BOMRef })
	bom.Components = &parts
	var needs []string
	for _, c := range parts {
		needs = append(needs, c.BOMRef)
	}
	bom.Dependencies = &[]cdx.Dependency{{Ref: "retroattn", Dependencies: &needs}}
	var text bytes.Buffer
	err := cdx.NewBOMEncoder(&text, cdx.BOMFileFormatJSON).SetPretty(true).Encode(bom)
	return member{name: sbomName, content: text.Bytes()}, err
}

// goModules are the modules in a member, and the standard library; none if it is not made by Go.
func goModules(e member) ([]cdx.Component, error) {
	info, err := buildinfo.Read(bytes.NewReader(e.content))
	if err != nil {
		return nil, nil
	}
	sum := fmt.Sprintf("%x", sha256.Sum256(e.content))
	all := []cdx.Component{
		{BOMRef: e.name, Name: e.name, Type: cdx.ComponentTypeFile, Hashes: sha256Of(sum)},
		goModule("std", strings.TrimPrefix(info.GoVersion, "go")),
	}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		c := goModule(m.Path, m.Version)
		// h1 is the SHA-256 of the module's files
		hash, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(m.Sum, "h1:"))
		if err != nil || len(hash) != sha256.Size {
			return nil, fmt.Errorf("%s: module %s has the checksum %q: build it anew", e.name,
				m.Path, m.Sum)
		}
		c.Hashes = sha256Of(fmt.Sprintf("%x", hash))
		all = append(all, c)
	}
	return all, nil
}

func goModule(name, version string) cdx.Component {
	purl := fmt.Sprintf("pkg:golang/%s@%s", name, version)
	return cdx.Component{BOMRef: purl, PackageURL: purl, Name: name, Version: version,
		Type: cdx.ComponentTypeLibrary}
}

// llamaComponents are llama.cpp, as it is pinned and patched, and what lies in its folder vendor.
func (a *app) llamaComponents(source string, patches []cdx.Patch) ([]cdx.Component, error) {
	pin := a.pins.Llama
	purl := "pkg:github/ggml-org/llama.cpp@" + pin.Git.Tag
	all := []cdx.Component{{BOMRef: purl, PackageURL: purl, Name: "llama.cpp", Version: pin.Version,
		Type: cdx.ComponentTypeApplication, Licenses: licence("MIT"),
		Pedigree:   &cdx.Pedigree{Patches: &patches},
		Properties: &[]cdx.Property{{Name: "git:tree", Value: pin.Tree}},
		ExternalReferences: &[]cdx.ExternalReference{
			{Type: cdx.ERTypeVCS, URL: pin.Git.URL}}}}
	headers, err := filepath.Glob(filepath.Join(source, "vendor", "*", "*.h*"))
	if err != nil {
		return nil, err
	}
	for _, header := range headers {
		version, err := versionIn(header)
		if err != nil {
			return nil, err
		}
		name := filepath.Base(filepath.Dir(header)) + "/" + filepath.Base(header)
		all = append(all, cdx.Component{BOMRef: "vendor/" + name, Name: name, Version: version,
			Type: cdx.ComponentTypeLibrary})
	}
	return all, nil
}

var versionText = regexp.MustCompile(`(?i)\bv(?:ersion)? ?"?(\d+\.\d+(?:\.\d+)?)`)

// versionIn is what a header says of itself at its beginning, "" if it says nothing.
func versionIn(header string) (string, error) {
	f, err := os.Open(header)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 4096))
	if m := versionText.FindSubmatch(text); m != nil {
		return string(m[1]), err
	}
	return "", err
}

func licence(id string) *cdx.Licenses {
	return &cdx.Licenses{{License: &cdx.License{ID: id}}}
}

func sha256Of(hex string) *[]cdx.Hash {
	return &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex}}
}
