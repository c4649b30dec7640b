#!/usr/bin/env bash
# What production installs, without known weaknesses and with licences that it may use. What could not be looked up is a
# failure: nothing is known about it then.
# usage: local/audit/run.sh [LOCK]
#   ADVISORIES   who answers what weaknesses are known: pypi (the package index), osv, or the address of a service with
#                OSV's interface
#   LICENCES     where the list of licences is written, .local/licences.csv if not given
set -uo pipefail
cd "$(dirname "$0")/../.."
lock=${1:-requirements-s3.lock}
advisories=${ADVISORIES:-pypi}
report=${LICENCES:-.local/licences.csv}
environment=.local/venv/audit
status=0
[ -x "$environment/bin/python" ] || .venv/bin/python -m venv "$environment" || exit
.venv/bin/uv pip sync --quiet --python "$environment/bin/python" local/audit/requirements.lock || exit

# The lock is complete, so nothing is resolved again. Without --strict what the service does not know counts as sound.
case $advisories in http*) service=(--vulnerability-service osv --osv-url "$advisories") ;; *) service=(--vulnerability-service "$advisories") ;; esac
if found=$("$environment/bin/pip-audit" --strict --requirement "$lock" --require-hashes --disable-pip \
    --progress-spinner off "${service[@]}" 2>&1); then
    echo "no known weakness in $lock"
elif grep -q '^Found ' <<<"$found"; then
    printf '%s\n' "$found" "$lock has known weaknesses: raise the version in requirements.txt, then make lock" >&2
    status=1
else
    printf '%s\n' "$found" | tail -3 >&2
    echo "$lock was NOT audited: '$advisories' did not answer for every package; ADVISORIES=osv, or an address, asks another" >&2
    status=1
fi

# Network copyleft would reach what we write; everything else is used as a library. A licence that is not stated may be
# anything; those of the last line are Apache-2.0 by their source.
mapfile -t packages < <(grep -oE '^[a-z0-9._-]+==' "$lock" | tr -d =)
licences() { "$environment/bin/pip-licenses" --python .venv/bin/python --from=mixed --packages "${packages[@]}" "$@"; }
licences --format=csv >"$report" || status=1
if licences --partial-match --fail-on "AGPL;Affero;UNKNOWN" --ignore-packages openlineage_sql >/dev/null; then
    echo "every licence may be used: $report"
else
    echo "a licence that production must not have, or that is not stated: see above and $report" >&2
    status=1
fi
exit $status
