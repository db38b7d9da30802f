#!/usr/bin/env bash
# mutate.sh: removes the lines of the spec builder one at a time and expects a
# test to fail for each. It works in a copy of the tree.
#
# A line whose removal does not compile proves nothing and is counted apart.
set -euo pipefail
cd "$(dirname "$0")/.."

export TAKO_TEST_BINARY=${TAKO_TEST_BINARY:-$PWD/bin/tako} CGO_ENABLED=0
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cp -r go.mod go.sum internal cmd "$copy/"
cd "$copy/internal/engine/gvisor"

killed=0 live=0 uncompiled=0 survived=0
for file in spec.go seccomp.go; do
	cp "$file" "$copy/original"
	while IFS=: read -r number line; do
		sed "${number}d" "$copy/original" > "$file"
		if ! go test -c -o "$copy/mutant" . 2> /dev/null; then
			uncompiled=$((uncompiled + 1))
		elif "$copy/mutant" -test.run 'Golden' > /dev/null 2>&1; then
			survived=$((survived + 1))
			echo "survived: $file:$number:$line"
		else
			killed=$((killed + 1))
			# Would the live sandbox have shown it without the golden file?
			if ! "$copy/mutant" -test.run 'TestHostPosture|TestEngine/Posture' > /dev/null 2>&1; then
				live=$((live + 1))
			fi
		fi
	done < <(awk '/^func /{inside=1} inside && !/^func |^}|^\t*\/\/|^\t*[})\]]+,?$|^$/{print NR ":" $0} /^}/{inside=0}' "$copy/original")
	cp "$copy/original" "$file"
done
echo "$killed lines removed and noticed ($live of them by the live posture tests, too), $uncompiled that did not compile, $survived survived"
[ "$survived" -eq 0 ]
