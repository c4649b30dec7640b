#!/usr/bin/env bash
# What production installs, without known weaknesses and with licences that it may use. Needs the package index, which
# answers what weaknesses are known. usage: local/audit/run.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
environment=.local/venv/audit
[ -x "$environment/bin/python" ] || .venv/bin/python -m venv "$environment"
.venv/bin/uv pip sync --quiet --python "$environment/bin/python" local/audit/requirements.lock

# The lock is complete, so nothing is resolved again.
"$environment/bin/pip-audit" --requirement requirements.lock --require-hashes --disable-pip
# Network copyleft would reach what we write; everything else is used as a library.
"$environment/bin/pip-licenses" --python .venv/bin/python --from=mixed --partial-match \
    --fail-on "AGPL;Affero" --format=csv >.local/licences.csv
echo "no known weakness; licences of every package are in .local/licences.csv"
