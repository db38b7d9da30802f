package runner

import (
	_ "embed"
	"strings"
)

// preloadCode imports modules before the script is known, and has what they
// took from the system's randomness renewed when the script begins.
//
//go:embed preload.py
var preloadCode string

// preloadScript is the code for these modules; empty for none. Names of modules have nothing in
// them that has to be quoted: see validate.
func preloadScript(modules []string) string {
	if len(modules) == 0 {
		return ""
	}
	return strings.Replace(preloadCode, "[...]", `["`+strings.Join(modules, `", "`)+`"]`, 1)
}
