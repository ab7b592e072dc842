#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Install those of the named Debian packages that are not there yet. Quiet when there is nothing
# to do; without apt (another distribution) it says what it looked for and goes on.
set -eu
missing=
command -v dpkg-query >/dev/null 2>&1 || { echo "not Debian: make sure you have $*" >&2; exit 0; }
for p; do
	dpkg-query -W -f '${Status}\n' "$p" 2>/dev/null | grep -q ' installed$' || missing="$missing $p"
done
[ -n "$missing" ] || exit 0
echo "  APT    $missing"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
# shellcheck disable=SC2086
{ apt-get install -y -qq --no-install-recommends $missing ||
	{ apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing; }; } \
	>"$log" 2>&1 || { cat "$log" >&2; rm -f "$log"; exit 1; }
rm -f "$log"
