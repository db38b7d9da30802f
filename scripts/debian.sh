#!/usr/bin/env bash
# debian.sh NAME: makes the root file system that NAME is below, a tar made by
# mmdebstrap, and prints its path. Tests make container images of it. It is made
# once for a machine and kept in TAKO_TEST_ROOTS, by default ~/.cache/tako-test,
# under the digest of what is in it. Where it cannot be made, one line says why,
# and the exit code is 3.
set -euo pipefail

suite=bookworm
dist=/usr/lib/python3/dist-packages
case ${1-} in
minimal) # no Python
	include=''
	remove=''
	;;
data) # what programs that work on data need, and no more: 300 MB of tests, compilers and the like are left out
	include=python3,python3-numpy,python3-pandas,python3-matplotlib
	remove="usr/lib/gcc usr/bin/*-lto-dump-* .$dist/sympy .$dist/scipy .$dist/pythran .$dist/*/tests .$dist/*/*/tests"
	;;
*)
	echo "usage: debian.sh minimal | data" >&2
	exit 2
	;;
esac

options=(--variant=essential --format=tar --mode=auto --dpkgopt=force-unsafe-io)
for path in '/usr/share/doc/*' '/usr/share/man/*' '/usr/share/locale/*' '/usr/share/unicode/*' '/usr/include/*'; do
	options+=("--dpkgopt=path-exclude=$path")
done
[ -z "$include" ] || options+=("--include=$include" "--customize-hook=cd \"\$1\" && rm -rf $remove")

cache=${TAKO_TEST_ROOTS:-${XDG_CACHE_HOME:-$HOME/.cache}/tako-test}
key=$(printf '%s\n' "$suite" "${options[@]}" | sha256sum)
tar=$cache/$1-${key:0:16}.tar
if [ ! -e "$tar" ]; then
	if ! command -v mmdebstrap >/dev/null; then
		echo "debian: missing; run: sudo apt-get install -y mmdebstrap" >&2
		exit 3
	fi
	if [ "$(id -u)" -ne 0 ] && ! command -v newuidmap >/dev/null; then
		echo "debian: missing; run: sudo apt-get install -y uidmap" >&2
		exit 3
	fi
	mkdir -p "$cache"
	exec 9>"$cache/lock"
	flock 9 # one at a time; who waited finds it made
	if [ ! -e "$tar" ]; then
		echo "debian: making the root file system $1, once: a minute or two" >&2
		rm -f "$cache/$1"-*.tar "$cache/$1"-*.tmp
		log=$(mktemp)
		if ! mmdebstrap "${options[@]}" "$suite" "$tar.tmp" >"$log" 2>&1 </dev/null; then
			tail -20 "$log" >&2
			rm -f "$log" "$tar.tmp"
			echo "debian: the root file system $1 cannot be made; it needs a Debian mirror" >&2
			exit 1
		fi
		rm -f "$log"
		mv "$tar.tmp" "$tar"
	fi
fi
echo "$tar"
