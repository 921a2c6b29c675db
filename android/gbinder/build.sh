#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Gets libgbinder's tools, as Debian ships them: the packages of Debian 13 and its
# backports, unpacked below CACHE_DIR and never installed, with the C library that
# they want.
#
#	build.sh CACHE_DIR
#
# The last line of standard output is the folder with the tools (for run.sh);
# everything else goes to standard error. BUS1_DEBIAN_ARCHIVE names another archive
# than the one that apt uses. Needs apt (only to download) and dpkg.

set -eu

packages="libgbinder-tools libgbinder1 libglibutil1 libglib2.0-0t64 libpcre2-8-0 libc6"
suites="trixie trixie-backports"
# Of these, the versions of the backports.
backports="libgbinder-tools libgbinder1 libglibutil1"
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

die()
{
	echo "build.sh: $*" >&2
	exit 1
}

# apt with lists of its own: those of the machine stay as they are.
private_apt()
{
	tool=$1
	shift
	"$tool" -q -o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$new/apt/parts" \
		-o "Dir::State::Lists=$new/apt/lists" -o "Dir::Cache=$new/apt/cache" \
		-o APT::Sandbox::User=root "$@"
}

download()
{
	[ -e "$keyring" ] || die "no $keyring: install debian-archive-keyring"
	uri=${BUS1_DEBIAN_ARCHIVE:-$(apt-get indextargets --format '$(CODENAME) $(REPO_URI)' \
		'Created-By: Packages' 'Origin: Debian' | sed -n '/^[^ ]*-/d; s/^[^ ]* //p; q')}
	[ -n "$uri" ] || die "this machine's apt knows no Debian archive: set" \
		"BUS1_DEBIAN_ARCHIVE to the address of a mirror"
	mkdir -p "$new/apt/parts" "$new/apt/lists/partial" "$new/apt/cache/archives/partial"
	printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n' \
		"$uri" "$suites" "$keyring" >"$new/apt/parts/gbinder.sources"
	private_apt apt-get update >&2 || die "apt cannot read the suites $suites: is the network there?"
	for package in $packages; do
		suite=trixie
		case " $backports " in
		*" $package "*) suite=trixie-backports ;;
		esac
		(cd "$new/deb" && private_apt apt-get download "$package/$suite" >&2) ||
			die "cannot download $package of $suite"
	done
}

[ $# -eq 1 ] || { echo "usage: build.sh CACHE_DIR" >&2; exit 2; }
mkdir -p "$1"
cache=$(cd "$1" && pwd)
exec 9>"$cache/lock"
flock -n 9 || { echo "build.sh: waiting for another build" >&2; flock 9; }
key=$(sha256sum "$0" | cut -c 1-16)
new=$cache/new
if [ ! -d "$cache/$key" ]; then
	rm -rf "$new"
	mkdir -p "$new/deb" "$new/root"
	download
	for file in "$new"/deb/*.deb; do
		dpkg-deb -x "$file" "$new/root"
	done
	mv "$new/root" "$cache/$key"
	rm -rf "$new"
fi
echo "$cache/$key"
