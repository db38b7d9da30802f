package archtest

import "strings"

// rule says whether packages that match from may import packages that match
// to. Patterns are paths relative to the module for our own packages, full
// import paths for others; "x/..." is x and all below it, "std" the standard
// library, "own" every package of the module, "..." everything. The first rule
// that matches an import decides; what none matches is allowed.
type rule struct {
	from, to string
	allowed  bool
	tests    bool // holds for _test.go files, too
	reason   string
}

// importRules are the arrows that layers alone do not draw.
func importRules() []rule {
	const (
		one      = "what launches sandboxes is in one place, so that it can be audited and replaced"
		wiring   = "parts get their drivers handed; only the wiring knows which one"
		leaf     = "a leaf is imported by everything, so it must bring nothing along"
		domain   = "the domain outlives every library"
		policy   = "the queue decides when, the sandbox how; each is tested without the other"
		bucket   = "a hundred packages come along, each initialised in every sandbox: who wants a bucket asks artifact/s3"
		seam     = "a contract that imports an implementation is none"
		images   = "what reads images of strangers is in one place, and what it brings along is kept out of the rest"
		tcpip    = "a TCP/IP stack beside the sandbox's own is the network policy's business"
		protocol = "tools are calls of the API: who needs the protocol asks internal/mcp"
		surface  = "the command line is an edge: what others need of it belongs below"
	)
	return []rule{
		{"internal/engine/gvisor/...", "gvisor.dev/gvisor/runsc/...", true, true, one},
		{"...", "gvisor.dev/gvisor/runsc/...", false, true, one},

		{"internal/egress", "gvisor.dev/gvisor/pkg/...", true, true, tcpip},
		{"internal/engine/gvisor/...", "gvisor.dev/gvisor/pkg/...", true, true, tcpip},
		{"...", "gvisor.dev/gvisor/pkg/tcpip/...", false, true, tcpip},

		{"internal/job/...", "std", true, false, domain},
		{"internal/job/...", "...", false, false, domain},

		{"internal/engine", "std", true, false, seam},
		{"internal/engine", "internal/job", true, false, seam},
		{"internal/engine", "...", false, false, seam},

		{"internal/artifact", "std", true, false, seam},
		{"internal/artifact", "internal/job", true, false, seam},
		{"internal/artifact", "...", false, false, seam},
		{"...", "gocloud.dev/...", false, true, bucket},
		{"internal/oci", "github.com/google/go-containerregistry/...", true, true, images},
		{"...", "github.com/google/go-containerregistry/...", false, true, images},
		{"...", "github.com/aws/...", false, true, bucket},

		{"internal/mcp", "github.com/modelcontextprotocol/go-sdk/...", true, true, protocol},
		{"...", "github.com/modelcontextprotocol/go-sdk/...", false, true, protocol},

		{"internal/guest/...", "internal/guest/...", true, false, leaf},
		{"internal/guest/...", "internal/job", true, false, leaf},
		{"internal/guest/...", "own", false, false, leaf},
		{"internal/netguard/...", "std", true, false, leaf},
		{"internal/netguard/...", "...", false, false, leaf},
		{"internal/redact", "std", true, false, leaf},
		{"internal/redact", "...", false, false, leaf},
		{"internal/lifecycle/...", "own", false, false, leaf},
		{"internal/config/...", "internal/job", true, false, leaf},
		{"internal/config/...", "own", false, false, leaf},

		{"internal/queue/...", "internal/sandbox/...", false, true, policy},

		{"cmd/tako", "internal/cli/...", true, false, surface},
		{"internal/cli/...", "internal/cli/...", true, true, surface},
		{"...", "internal/cli/...", false, true, surface},

		{"cmd/...", "internal/engine/gvisor/...", true, false, wiring},
		{"tako", "internal/engine/gvisor/...", true, false, wiring},
		{"internal/assembly/...", "internal/engine/gvisor/...", true, false, wiring},
		{"internal/engine/gvisor/...", "internal/engine/gvisor/...", true, false, wiring},
		{"...", "internal/engine/gvisor/...", false, false, wiring},
		{"internal/assembly/...", "internal/store/sqlite/...", true, false, wiring},
		{"internal/assembly/...", "internal/store/postgres/...", true, false, wiring},
		{"bench", "internal/store/postgres/pgtest", true, false, wiring}, // a server to measure with
		{"internal/store/postgres/...", "internal/store/postgres/...", true, false, wiring},
		{"internal/assembly/...", "internal/artifact/disk", true, false, wiring},
		{"internal/assembly/...", "internal/artifact/s3", true, false, wiring},
		{"internal/artifact/s3", "internal/artifact/disk", true, false, wiring}, // its spool
		{"...", "internal/artifact/disk", false, false, wiring},
		{"...", "internal/artifact/s3", false, false, wiring},
		{"...", "internal/store/sqlite/...", false, false, wiring},
		{"...", "internal/store/postgres/...", false, false, wiring},
	}
}

// layers are the packages from top to bottom. A package imports from lower
// layers and from packages of its own row that are below the same folder. The
// longest matching path counts. Tests may import from anywhere.
func layers() [][]string {
	return [][]string{
		{"cmd"},
		{"tako", "internal/cli"}, // tako is the package at the root
		{"internal/assembly", "internal/benchmark"},
		{"internal/server", "internal/service"},
		{"internal/api", "internal/mcp", "internal/recipe"},
		{"internal/queue", "internal/build", "internal/webhook", "internal/attempt", "internal/metrics"},
		{"internal/runner"},
		{"internal/sandbox"},
		{"internal/takotest", "internal/oci"},
		{"internal/environment", "internal/egress", "internal/pkgindex", "internal/auth", "internal/secret", "internal/jobtype", "sdk"},
		{"internal/engine/gvisor", "internal/engine/enginetest", "internal/store/sqlite", "internal/store/postgres", "internal/store/storetest"},
		{"internal/engine", "internal/engine/cgroup", "internal/engine/crash", "internal/artifact", "internal/store", "internal/config"},
		{"internal/guest", "internal/netguard", "internal/redact", "internal/lifecycle", "internal/trace", "internal/api/wire", "internal/webhook/signature"},
		{"internal/job"},
	}
}

// unlayered packages are outside the tree of the product.
func unlayered() []string {
	return []string{"bench", "test", "deploy", "examples", "scripts", "docs", "internal/archtest"}
}

// decide answers the first rule that matches an import, or nil.
func decide(rules []rule, from, to string, test bool) *rule {
	for i, r := range rules {
		if (!test || r.tests) && matches(r.from, from) && matches(r.to, to) {
			return &rules[i]
		}
	}
	return nil
}

// matches holds one pattern against a package path, relative for our own.
func matches(pattern, path string) bool {
	switch pattern {
	case "...":
		return true
	case "std":
		return isStd(path)
	case "own":
		return isOwn(path)
	}
	if prefix, ok := strings.CutSuffix(pattern, "/..."); ok {
		return path == prefix || strings.HasPrefix(path, prefix+"/")
	}
	return path == pattern
}

// isStd reports a path of the standard library: others have a host name first.
func isStd(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".") && !isOwn(path)
}

// layerOf answers the row of a package and the entry that matched; -1 for none.
func layerOf(path string) (row int, entry string) {
	row = -1
	for i, names := range layers() {
		for _, name := range names {
			if matches(name+"/...", path) && len(name) > len(entry) {
				row, entry = i, name
			}
		}
	}
	return row, entry
}

// layerProblem says what is wrong with an import between two of our packages.
func layerProblem(from, to string) string {
	fromRow, fromEntry := layerOf(from)
	toRow, toEntry := layerOf(to)
	switch {
	case fromRow < 0 || toRow < 0:
		return "a package without a layer: give it a row in layers()"
	case fromEntry == toEntry, toRow > fromRow:
		return ""
	case toRow == fromRow:
		return "both are in one layer"
	}
	return toEntry + " is above " + fromEntry
}
