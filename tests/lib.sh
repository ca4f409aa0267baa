# SPDX-License-Identifier: GPL-2.0-only
# Shell helpers of the test tree; sourced, never run. Needs bash and `set -euo pipefail`.
# shellcheck shell=bash

# shellcheck disable=SC2034 # for those who source this
hv_top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
hv_cache=${HV_VSS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/hv-vss}

# Everything for the eyes goes to stderr: stdout carries results (paths).
hv_say()
{
	printf '%s\n' "hv-vss: $*" >&2
}

hv_die()
{
	printf '%s\n' "hv-vss: error: $*" >&2
	exit 1
}

# hv_hash FILE_OR_STRING...: one short content hash over files (by content) and plain words.
hv_hash()
{
	local x
	for x in "$@"; do
		if [ -f "$x" ]; then
			cat "$x"
		else
			printf '%s\0' "$x"
		fi
	done | sha256sum | cut -c1-16
}

# hv_lock NAME: hold an exclusive lock on the cache entry NAME until the shell ends.
hv_lock()
{
	mkdir -p "$hv_cache/lock"
	exec {hv_lock_fd}>"$hv_cache/lock/$1"
	flock "$hv_lock_fd"
}

# hv_need PACKAGE...: install Debian packages that are missing; an error names the command.
hv_need()
{
	local p missing=()
	for p in "$@"; do
		dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' ||
			missing+=("$p")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	command -v apt-get >/dev/null ||
		hv_die "packages missing; on Debian: apt-get install ${missing[*]}"
	[ "$(id -u)" = 0 ] || hv_die "packages missing; as root: apt-get install ${missing[*]}"
	hv_say "installing ${missing[*]}"
	(
		hv_lock apt
		if ! hv_apt_get install "${missing[@]}"; then
			hv_apt_get update
			hv_apt_get install "${missing[@]}" ||
				hv_die "could not install; try: apt-get install ${missing[*]}"
		fi
	)
}

hv_apt_get()
{
	DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o Dpkg::Use-Pty=0 \
		--no-install-recommends "$@" >&2 </dev/null
}

# hv_sources SUITE [TYPES]: apt sources (deb822) for a Debian suite, made from this machine's own
# by swapping the suite name, so that whatever mirror it uses is used here too.
hv_sources()
{
	local suite=$1 types=${2:-deb} own file uris
	own=$(. /etc/os-release && printf '%s' "$VERSION_CODENAME")
	file=$(grep -lsE "^(Suites:|deb ).*\\b$own\\b" /etc/apt/sources.list.d/debian.sources \
		/etc/apt/sources.list.d/*.sources /etc/apt/sources.list | head -n 1 || true)
	[ -n "$file" ] || hv_die "no apt source for Debian $own found under /etc/apt"
	if [ "$file" = /etc/apt/sources.list ]; then
		sed -nE "s/^deb (\\[[^]]*\\] )?([^ ]+) $own(-security|-updates|\\/updates)? .*/\\2 \\3/p" "$file"
	else
		awk -v own="$own" '
			/^URIs:/ { uri = $2 }
			/^Suites:/ { for (i = 2; i <= NF; i++) { s = $i
				if (sub("^" own, "", s)) print uri, s } }' "$file"
	fi | while read -r uris pocket; do
		if [ "$suite" = sid ] && [ -n "$pocket" ]; then
			continue
		fi
		printf 'Types: %s\nURIs: %s\nSuites: %s%s\nComponents: main\n' \
			"$types" "$uris" "$suite" "$pocket"
		printf 'Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n\n'
	done
}
