#!/usr/bin/env bash
# bench.sh TAKO [ARG...]: runs `tako bench`, and puts its table between the marks
# in docs/PERFORMANCE.md and its plot beside it.
set -euo pipefail
cd "$(dirname "$0")/.."

doc=docs/PERFORMANCE.md
table=$(mktemp)
trap 'rm -f "$table" "$doc.new"' EXIT
"$1" bench --svg docs/bench.svg "${@:2}" >"$table"
cat "$table"
awk -v table="$table" '
	/^<!-- tako bench: end -->$/ { inside = 0 }
	!inside { print }
	/^<!-- tako bench -->$/ {
		inside = 1
		print "\n```"
		while ((getline line < table) > 0) print line
		print "```\n"
	}' "$doc" >"$doc.new"
mv "$doc.new" "$doc"
