#!/usr/bin/env bash
# Install axe-core, the judge of the pages' accessibility, into .local/axe: for tests only, nobody is served it.
# Quick when nothing changed, and needs no network then. Called by local/bootstrap.sh.
set -euo pipefail
cd "$(dirname "$0")/../.."

package=axe-core
version=4.14.1
# SHA-512 of the package's archive, hexadecimal: what the registry states as its integrity.
checksum=1477dafa598d8d065f273d6af302aa203c02e83131707b7fa648cd41bd3d6b734f8c22a0dab86ee6a6f64b8afbe804b214d36db85a2826965edfb3a0b9d546b5
folder=.local/axe

fail() { printf 'setup of axe-core failed: %s\n' "$*" >&2; exit 1; }

stamp="$version $checksum"
[ "$(cat "$folder/installed" 2>/dev/null)" = "$stamp" ] && exit
[ "${1:-}" = --check ] && exit 1

mkdir -p .local
work=$(mktemp -d .local/axe.XXXXXX)
trap 'rm -rf "$work"' EXIT
npm pack --silent --pack-destination "$work" "$package@$version" >/dev/null \
    || fail "npm could not fetch $package@$version; is the package registry reachable?"
archive=$(echo "$work"/*.tgz)
printf '%s  %s\n' "$checksum" "$archive" | sha512sum --check --quiet --strict - >&2 \
    || fail "the archive of $package@$version is not the one that this project was tested with"
mkdir "$work/new"
tar -xzf "$archive" -C "$work" package/axe.min.js package/LICENSE
mv "$work/package/axe.min.js" "$work/package/LICENSE" "$work/new"
printf '%s\n' "$stamp" >"$work/new/installed"
rm -rf "$folder"
mv "$work/new" "$folder"
