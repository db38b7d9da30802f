#!/usr/bin/env bash
# lint.sh: the checks that need no sandbox. Silent when all is well.
set -euo pipefail
cd "$(dirname "$0")/.."

# As the build has them, so that compiled packages are shared.
export CGO_ENABLED=0 GOFLAGS='-trimpath -buildvcs=false'

failed=0
# try NAME COMMAND...: runs it, shows its output only when it fails.
try() {
	local name=$1 out
	shift
	if ! out=$("$@" 2>&1); then
		printf 'lint: %s\n%s\n' "$name" "$out" >&2
		failed=1
	fi
}

format() {
	local files
	files=$(find . -name '*.go' -not -path './.*' -not -path './bin/*' -not -path '*/testdata/*' -print0 | xargs -0 gofmt -l)
	[ -z "$files" ] || { echo "gofmt -w would change:"; echo "$files"; return 1; }
}

try 'format' format
try 'modules were changed after download' go mod verify
try 'go.mod is not tidy; run: go mod tidy' go mod tidy -diff
try 'vet' go vet ./...
try 'staticcheck' go tool staticcheck ./...
exit $failed
