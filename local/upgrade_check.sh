#!/usr/bin/env bash
# The newest Airflow and providers that resolve together, in an environment of their own, and the tests that would notice.
# The locks stay as they are. usage: local/upgrade_check.sh [TEST…]
set -euo pipefail
cd "$(dirname "$0")/.."
environment=.local/venv/next
found=.local/upgrade
tests=("$@")
[ $# -gt 0 ] || tests=(tests/unit tests/dags tests/house/test_rooms.py tests/integration/artifacts tests/integration/telemetry)
mkdir -p "$found"

# Airflow and its providers may be newer, and everything that only they need; what this repository chose stays as it is.
for source in requirements.txt requirements-s3.txt requirements-dev.txt; do
    sed -E 's/^(apache-airflow[a-z-]*(\[[a-z]+\])?)==/\1>=/' "$source" >"$found/$source"
done
.venv/bin/uv pip compile "$found/requirements-dev.txt" --output-file "$found/newest.txt" --quiet --upgrade \
    --python-version 3.11 --no-emit-index-url --no-annotate --no-header \
    || { echo "no newer versions resolve with the pins of requirements*.txt: see the conflict above" >&2; exit 1; }
versions() { grep -oE '^[A-Za-z0-9._-]+==[^ ;]+' "$1" | sort; }
comm -13 <(versions requirements-dev.lock) <(versions "$found/newest.txt") >"$found/changed.txt"
echo "$(grep -c '^apache-airflow' "$found/changed.txt" || true) of Airflow's packages are newer, $(wc -l <"$found/changed.txt") packages in all ($found/changed.txt):"
grep '^apache-airflow' "$found/changed.txt" | sed 's/^/  /' || true

[ -x "$environment/bin/python" ] || .venv/bin/uv venv --quiet --python .venv/bin/python "$environment"
.venv/bin/uv pip sync --quiet --python "$environment/bin/python" "$found/newest.txt"
"$environment/bin/ruff" check --quiet --select AIR . || status=$?
PATH="$PWD/$environment/bin:$PATH" "$environment/bin/python" -m pytest -q -p no:cacheprovider "${tests[@]}" || status=$?
[ "${status:-0}" = 0 ] && echo "the newest versions pass; to take them: docs/upgrade.md" || echo "the newest versions fail: see above" >&2
exit "${status:-0}"
