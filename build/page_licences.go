package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// pageLicence is the file, beside the page, with the licences of what is in it, and what it is
// called in an archive.
const (
	pageLicence       = "licenses.txt"
	pageLicenceMember = "licenses/llama-server-page.txt"
)

// anyLicenceName is that of packages from npm, which write it as they like.
var anyLicenceName = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice)`)

// pageLicences gathers the licences of the packages in a page that was built in source.
func pageLicences(source, to string) error {
	list, err := os.ReadFile(filepath.Join(source, "packages.txt"))
	if err != nil {
		return err
	}
	folders := strings.Split(strings.TrimSpace(string(list)), "\n")
	// The service worker is bundled apart, and a vendored library by a plugin.
	folders = append(folders, filepath.Join(source, "node_modules", "workbox-core"))
	vendors := filepath.Join(source, "src", "lib", "vendors")
	vendored, err := os.ReadDir(vendors)
	if err != nil {
		return err
	}
	for _, f := range vendored {
		if f.IsDir() {
			folders = append(folders, filepath.Join(vendors, f.Name()))
		}
	}
	slices.Sort(folders)
	var b strings.Builder
	for _, folder := range slices.Compact(folders) {
		text, err := licenceText(folder)
		if err != nil {
			return err
		}
		b.WriteString(text)
	}
	return writeFrom(strings.NewReader(b.String()), to, 0o644)
}

// licenceText is the name of a package and its licence: its files, or what its package.json says.
func licenceText(folder string) (string, error) {
	var about struct {
		Name, Version string
		License       any // a name, or in old packages an object with its type
	}
	text, err := os.ReadFile(filepath.Join(folder, "package.json"))
	if err == nil {
		err = json.Unmarshal(text, &about)
	} else if os.IsNotExist(err) {
		about.Name, err = filepath.Base(folder), nil
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", folder, err)
	}
	if old, ok := about.License.(map[string]any); ok {
		about.License = old["type"]
	}
	var b strings.Builder
	fmt.Fprintf(&b, "==== %s %s", about.Name, firstOf(about.Version, "vendored"))
	if about.License != nil {
		fmt.Fprintf(&b, " (%v)", about.License)
	}
	b.WriteString("\n\n")
	names, err := licenceFiles(folder, anyLicenceName)
	if err != nil {
		return "", err
	}
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "%s\n\n", strings.TrimSpace(string(text)))
	}
	if len(names) == 0 && about.License == nil {
		return "", fmt.Errorf("%s has no licence, but is in the web page: find its licence before you pass the page on", folder)
	}
	return b.String(), nil
}

var packageHeading = regexp.MustCompile(`(?m)^==== (\S+) (\S+)`)

// pageModules are the packages that the text of pageLicence names.
func pageModules(text string) (all []cdx.Component) {
	for _, m := range packageHeading.FindAllStringSubmatch(text, -1) {
		name, version := m[1], m[2]
		c := cdx.Component{BOMRef: "page/" + name + " " + version, Name: name, Version: version,
			Type: cdx.ComponentTypeLibrary}
		if version != "vendored" {
			// an @ in a name is escaped
			c.PackageURL = "pkg:npm/" + strings.Replace(name, "@", "%40", 1) + "@" + version
		}
		all = append(all, c)
	}
	return all
}
