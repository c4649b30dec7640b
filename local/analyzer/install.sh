#!/usr/bin/env bash
# Install Google's SQL analyzer (ZetaSQL) into .local/analyzer: the server, and its protos compiled to one descriptor set.
# Quick when nothing changed, and needs no network then. Called by local/bootstrap.sh.
set -euo pipefail
cd "$(dirname "$0")/../.."

package=@fivetrandevelopers/zetasql
version=1.13.0
# SHA-512 of the package's archive, hexadecimal: what the registry states as its integrity.
checksum=c97f40a5af7af27a764dcf87adfe017fa1b3efb91054b2032da370a2f33dd55070c834c31750baa20954aa6954e857b9fd3542131b2722e79688f6a1ad81084d
folder=.local/analyzer

fail() { printf 'setup of the SQL analyzer failed: %s\n' "$*" >&2; exit 1; }

# The names that the package gives its servers: those that end in .so are programs, too.
case "$(uname -s)-$(uname -m)" in
    Linux-x86_64) server=remote_server.so ;;
    Linux-aarch64) server=remote_server_arm.so ;;
    Darwin-x86_64) server=remote_server ;;
    Darwin-arm64) server=remote_server_arm ;;
    *) fail "the package has no server for $(uname -s) on $(uname -m)" ;;
esac

stamp="$version $checksum $server"
[ "$(cat "$folder/installed" 2>/dev/null)" = "$stamp" ] && exit
[ "${1:-}" = --check ] && exit 1

printf 'setting up the SQL analyzer (a download of 112 MB) ...\n' >&2
mkdir -p .local
work=$(mktemp -d .local/analyzer.XXXXXX)
trap 'rm -rf "$work"' EXIT
npm pack --silent --pack-destination "$work" "$package@$version" >/dev/null \
    || fail "npm could not fetch $package@$version; is the package registry reachable?"
archive=$(echo "$work"/*.tgz)
printf '%s  %s\n' "$checksum" "$archive" | sha512sum --check --quiet --strict - >&2 \
    || fail "the archive of $package@$version is not the one that this project was tested with"
tar -xzf "$archive" -C "$work" "package/lib/zetasql/$server" package/lib/zetasql/protos
rm "$archive"

mkdir "$work/new"
mv "$work/package/lib/zetasql/$server" "$work/new/server"
chmod +x "$work/new/server"
# grpcio-tools is in the emulator's environment; its pins differ from Airflow's. A descriptor set holds no generated code,
# so that it fits whatever version of protobuf reads it.
.local/venv/bigquery/bin/python -m grpc_tools.protoc -I "$work/package/lib/zetasql/protos" --include_imports \
    --descriptor_set_out="$work/new/protos.desc" local_service.proto || fail "the protos could not be compiled"
printf '%s\n' "$stamp" >"$work/new/installed"
rm -rf "$folder"
mv "$work/new" "$folder"
