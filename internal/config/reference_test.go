package config

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/CONFIGURATION.md again")

const configurationFile = "../../docs/CONFIGURATION.md"

const configurationHead = `<!-- Drawn from internal/config. Not to be edited: go test ./internal/config -run Reference -update -->

# Configuration

Without a file the defaults hold. The file is that of ` + "`--config`, else of `TAKO_VM_CONFIG`, else the first of `./tako_vm.yaml`, `./config/tako_vm.yaml`," + `
` + "`~/.tako_vm/config.yaml` and `/etc/tako_vm/config.yaml`" + `. An unknown key is an error, and so is a value that is out of its range; ` + "`tako validate`" + ` checks a
file, ` + "`tako config`" + ` prints what is in force and where it comes from. Variables come before the file. Those of lists have commas,
those of switches ` + "`true`, `1` or `yes`" + `. Sizes are bytes, or have a suffix: ` + "`512m`, `2g`" + `.

Keys that are kept for Tako VM's files and do nothing here are marked so.
`

// docs/CONFIGURATION.md is the table of keys, for reading at a desk.
func TestReference(t *testing.T) {
	var text strings.Builder
	text.WriteString(configurationHead)
	text.WriteString("\n## The file\n\n")
	table(&text, describe(configRows(), ""))
	text.WriteString("\n## A job type\n\nOne of the list `job_types`. Over the API and in `job_types.json` the fields are the same.\n\n")
	table(&text, describe(jobTypeRows(), ""))
	if *update {
		if err := os.WriteFile(configurationFile, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file, err := os.ReadFile(configurationFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(file) != text.String() {
		t.Errorf("%s is not what the table of keys says: go test ./internal/config -run Reference -update", configurationFile)
	}
}

// table writes a line for each key.
func table(to *strings.Builder, keys []Key) {
	to.WriteString("| key | default | values | what it is |\n|---|---|---|---|\n")
	for _, k := range keys {
		about := k.Doc
		if k.NotYet {
			about += "; does nothing here"
		}
		if k.Env != "" {
			about += " (`" + k.Env + "`)"
		}
		fmt.Fprintf(to, "| `%s` | %s | %s | %s |\n", k.Name, cell(cmp.Or(k.Default, "none")), cell(k.Rule), cell(about))
	}
}

// cell is a text that a table can hold.
func cell(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(text, "|", "\\|"), "\n", " ")
}
