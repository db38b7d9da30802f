#!/usr/bin/env bash
# fuzz.sh: every fuzz test there is, FUZZTIME each: go test takes one at a time.
set -euo pipefail
cd "$(dirname "$0")/.."

while IFS=: read -r file name; do
	echo "fuzz: $name in $(dirname "$file")"
	go test -run '^$' -fuzz "^$name\$" -fuzztime "${FUZZTIME:-10s}" "./$(dirname "$file")"
done < <(grep -roHE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' internal cmd | sed 's/:func /:/' | sort)
