#!/usr/bin/env bash
# Set up everything the embedded stack needs: system packages, the three Python environments, from their locks.
# Repeatable and quick when nothing changed. Called by the Makefile; with --tests also what only tests
# need: a browser, axe-core, Google's SQL analyzer, and a Java compiler (genuine Hive as a judge).
set -euo pipefail
cd "$(dirname "$0")/.."
mode=${1:-}

say() { printf '%s\n' "$*" >&2; }
fail() { say "setup failed: $*"; exit 1; }

# --- system packages -----------------------------------------------------------------------------
# what must be there | Debian's package for it
needs() {
    command -v python3.11 >/dev/null || python3 -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null \
        || echo python3.11
    "$(python)" -c 'import ensurepip, venv' 2>/dev/null || echo python3.11-venv
    [ -e "$("$(python)" -c 'import sysconfig; print(sysconfig.get_path("include"))' 2>/dev/null)/Python.h" ] \
        || echo python3.11-dev
    command -v gcc >/dev/null || echo gcc
    command -v pkg-config >/dev/null || echo pkg-config
    pkg-config --exists mariadb 2>/dev/null || pkg-config --exists mysqlclient 2>/dev/null || echo libmariadb-dev
    PATH=$PATH:/usr/sbin command -v mariadbd >/dev/null || echo mariadb-server
    compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || command -v postgres >/dev/null || echo postgresql
    command -v redis-server >/dev/null || echo redis-server
    [ "$mode" != --tests ] || browser || echo chromium
    command -v java >/dev/null || [ -x "${JAVA_HOME:-/nonexistent}/bin/java" ] || echo openjdk-17-jre-headless
    [ "$mode" != --tests ] || compiler || echo openjdk-17-jdk-headless
    # Only to fetch the SQL analyzer and the judge of accessibility, once.
    [ "$mode" != --tests ] || { local/analyzer/install.sh --check && local/axe/install.sh --check; } \
        || command -v npm >/dev/null || echo npm
}
# Where local.services.java_home looks.
compiler() {
    [ -x "${JAVA_HOME:-/nonexistent}/bin/javac" ] || compgen -G '/usr/lib/jvm/java-*17*/bin/javac' || command -v javac
} >/dev/null
browser() { command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null
chinese_font() { [ -n "$(find -L /usr/share/fonts ~/.local/share/fonts \( -iname '*wqy*' -o -iname '*cjk*' \) -print -quit 2>/dev/null)" ]; }
python() { command -v python3.11 || command -v python3 || echo python3.11; }

# Packages of Debian start their own servers; the stack runs its own, private ones.
install_quietly() {
    local root=()
    [ "$(id -u)" = 0 ] || root=(sudo -n)
    say "installing system packages: $*"
    "${root[@]}" apt-get update -qq
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
        apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

missing=$(needs | sort -u | tr '\n' ' ')
# Pictures of charts and pages have Chinese in them; without a font they have their English half.
wanted=$([ "$(uname)" != Linux ] || chinese_font || echo fonts-wqy-microhei)
if [ -n "$missing$wanted" ]; then
    if command -v apt-get >/dev/null && { [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; }; then
        # shellcheck disable=SC2086 - lists of words
        install_quietly $missing $wanted || [ -z "$missing" ] || fail "apt-get could not install: $missing"
        missing=$(needs | sort -u | tr '\n' ' ')
    fi
    [ -z "$missing" ] || fail "these are missing and cannot be installed without root: $missing
  Debian, Ubuntu: apt-get install $missing
  Fedora:         dnf install python3.11 python3.11-devel gcc pkgconf mariadb-connector-c-devel mariadb-server postgresql-server redis java-17-openjdk-devel chromium npm
  macOS:          brew install python@3.11 pkg-config mariadb postgresql@17 redis openjdk@17 node && brew install --cask chromium
  then run the same command again"
fi

# --- Python environments -------------------------------------------------------------------------
# An environment is rebuilt from its lock when the lock changed; the stamp holds the lock's checksum.
environment() { # folder lock label
    local folder=$1 lock=$2 label=$3 sum
    sum=$(sha256sum <"$lock")
    [ "$(cat "$folder/.lock.sha256" 2>/dev/null)" = "$sum" ] && return
    say "setting up the $label environment ..."
    [ -x "$folder/bin/python" ] || "$(python)" -m venv "$folder" || fail "could not create $folder"
    if [ "$folder" = .venv ]; then
        "$folder/bin/python" -m pip install --quiet --disable-pip-version-check \
            "$(grep -oE '^uv==[0-9.]+' requirements-dev.lock)" || fail "could not install uv; is the package index reachable?"
    fi
    .venv/bin/uv pip sync --quiet --python "$folder/bin/python" "$lock" \
        || fail "could not install $lock; see the message above (a compiler error names a missing system package)"
    printf '%s\n' "$sum" >"$folder/.lock.sha256"
}

free=$(df -Pk . | awk 'NR == 2 {print int($4 / 1048576)}')
[ -d .local/venv/hive ] || [ "$free" -ge 6 ] || fail "too little disk: ${free} GiB free here, the environments and the stack need 6 GiB"

environment .venv requirements-dev.lock "Airflow"
environment .local/venv/bigquery local/bigquery/requirements.lock "BigQuery emulator"
environment .local/venv/hive local/hive/requirements.lock "Spark (HiveServer2)"

# --- Google's SQL analyzer, for the tests of the BigQuery statements ------------------------------------
[ "$mode" != --tests ] || local/analyzer/install.sh

# --- axe-core, for the tests of the pages ---------------------------------------------------------------
[ "$mode" != --tests ] || local/axe/install.sh
