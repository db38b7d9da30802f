#!/usr/bin/env bash
# setup.sh NEED...: makes sure that each need is there. As root on Debian and
# its kin it installs what is missing; otherwise it names the one line that
# does, and exits 1. Says nothing when nothing is missing.
set -euo pipefail

# have NEED: is it there?
have() {
	case $1 in
	bubblewrap) command -v bwrap >/dev/null ;;
	cc) command -v gcc >/dev/null && [ -e /usr/include/stdlib.h ] ;; # -race links with cgo
	certs) [ -n "${SSL_CERT_FILE:-}" ] || [ -e /etc/ssl/certs/ca-certificates.crt ] || [ -d /etc/pki/tls/certs ] ;; # Go downloads modules
	httpx | requests) /usr/bin/python3 -c "import $1" 2>/dev/null ;; # tests of sdk/python
	numpy | pandas) python3 -c "import $1" 2>/dev/null || /usr/bin/python3 -c "import $1" 2>/dev/null ;;
	postgres) command -v postgres >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null ;;
	*) command -v "$1" >/dev/null ;;
	esac
}

# packages NEED: what to install for it.
packages() {
	case $1 in
	cc) echo gcc libc6-dev ;;
	certs) echo ca-certificates ;;
	node) echo nodejs ;;
	httpx | numpy | pandas | requests) echo "python3-$1" ;;
	postgres) echo postgresql ;;
	*) echo "$1" ;;
	esac
}

# apt_get ARG...: without questions, and silent unless it fails.
apt_get() {
	local log
	log=$(mktemp)
	if ! DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confold "$@" </dev/null >"$log" 2>&1; then
		cat "$log" >&2
		rm -f "$log"
		return 1
	fi
	rm -f "$log"
}

# Debian starts a server of its own where it installs PostgreSQL, unless told
# not to; tests start theirs.
no_cluster() {
	mkdir -p /etc/postgresql-common
	[ -e /etc/postgresql-common/createcluster.conf ] || echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
}

install() {
	case " $* " in *' postgresql '*) no_cluster ;; esac
	if ! compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null; then
		apt_get update
		apt_get install -y --no-install-recommends "$@"
		return
	fi
	# Lists that are there may be old and name packages that are gone.
	apt_get install -y --no-install-recommends "$@" 2>/dev/null && return
	apt_get update
	apt_get install -y --no-install-recommends "$@"
}

wanted=()
for need in "$@"; do
	have "$need" && continue
	if [ "$need" = go ]; then
		echo "setup: Go is not installed; get it from https://go.dev/dl/ (go.mod names the version)" >&2
		exit 1
	fi
	read -ra list < <(packages "$need")
	wanted+=("${list[@]}")
done
[ ${#wanted[@]} -gt 0 ] || exit 0

if ! command -v apt-get >/dev/null; then
	echo "setup: missing; install with this system's package manager what Debian calls: ${wanted[*]}" >&2
	exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
	echo "setup: missing; run: sudo apt-get install -y ${wanted[*]}" >&2
	exit 1
fi
echo "setup: installing ${wanted[*]}" >&2
install "${wanted[@]}"
for need in "$@"; do
	if ! have "$need"; then
		echo "setup: $need is still missing after installing $(packages "$need")" >&2
		exit 1
	fi
done
