#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Builds rsbinder's service manager and tools, and our demo and our tests on
# rsbinder, as static programs.
#
#	build.sh CACHE_DIR
#
# The tools come from crates.io, ours from user/rsbinder-demo and
# user/rsbinder-tests; everything is built below CACHE_DIR, nothing is written into
# the checkout. The last line of standard output is the folder with the programs
# (for run.sh); everything else goes to standard error. Needs cargo and a C library with its static form.

set -eu

tools=rsbinder-tools
version=0.12.0

[ $# -eq 1 ] || { echo "usage: build.sh CACHE_DIR" >&2; exit 2; }
user=$(cd "$(dirname "$0")/../../user" && pwd)
mkdir -p "$1"
cache=$(cd "$1" && pwd)
exec 9>"$cache/lock"
flock -n 9 || { echo "build.sh: waiting for another build" >&2; flock 9; }

# With a target named, the flags below don't reach build scripts and macros.
host=$(rustc -vV | sed -n 's/^host: //p')
root=$cache/$version-$(rustc -vV | sha256sum | cut -c 1-16)
export RUSTFLAGS="-C target-feature=+crt-static"
unset CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_TARGET
jobs=${JOBS:-2}

cargo install --locked --quiet --jobs "$jobs" --target "$host" --root "$root" \
	--target-dir "$root/target" --version "$version" "$tools" 9>&- >&2
for program in rsbinder-demo rsbinder-tests; do
	cargo build --locked --quiet --jobs "$jobs" --target "$host" --release \
		--target-dir "$root/target" --manifest-path "$user/$program/Cargo.toml" 9>&- >&2
	cp "$root/target/$host/release/$program" "$root/bin/"
done
echo "$root/bin"
