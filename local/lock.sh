#!/usr/bin/env bash
# Generate (or, with --check, verify) every lock file from its source.
# usage: local/lock.sh [--check | --upgrade]
set -euo pipefail
cd "$(dirname "$0")/.."
uv=${UV:-.venv/bin/uv}
mode=${1:-}
status=0
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
for source in requirements.txt requirements-s3.txt requirements-dev.txt local/bigquery/requirements.txt local/hive/requirements.txt \
    local/audit/requirements.txt benchmarks/peer/requirements.txt; do
    lock=${source%.txt}.lock
    out=$lock
    if [ "$mode" = --check ]; then
        out=$scratch/lock
        rm -f "$out"
        cp "$lock" "$out" 2>/dev/null || true # uv keeps the versions it finds in the output file
    fi
    "$uv" pip compile "$source" --output-file "$out" --quiet --python-version 3.11 --generate-hashes \
        --custom-compile-command "make lock" --no-emit-index-url \
        $([ "$mode" = --upgrade ] && echo --upgrade) \
        $(case $source in requirements-s3.txt | requirements-dev.txt) echo --constraints requirements.lock ;; esac) \
        $(case $source in requirements.txt | requirements-s3.txt) echo --no-emit-package pytest --no-emit-package iniconfig ;; esac)
    if [ "$mode" = --check ] && ! diff -u "$lock" "$out"; then
        echo "$lock is stale against $source: run 'make lock' and commit the result" >&2
        status=1
    fi
done
exit $status
