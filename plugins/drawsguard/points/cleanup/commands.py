"""The shell commands that clean a point: what a ticket asks the DBA to run, quoted for bash.

They need redis-cli 7 (``-e``) and work on a single server as on a Redis Cluster, where every master is scanned and each
key goes by a command of its own: one UNLINK of several slots is refused. The exit code is 0 only when every server did
all that was asked; a slot that is being moved ends the command with an error, and it can be run again.
"""

from __future__ import annotations

from shlex import quote

from drawsguard.points.cleanup.structure import Structure
from drawsguard.points.cleanup.template import Template

#: Arguments of one HDEL.
BATCH = 500

#: Prints host and port of each server that holds keys: the masters with slots of a cluster, or the server itself.
_MASTERS = (
    'masters() { local state; state=$(redis-cli -e -h "$1" -p 6379 INFO cluster </dev/null); case $state in '
    '*cluster_enabled:1*) redis-cli -e -h "$1" -p 6379 CLUSTER NODES </dev/null | awk '
    r"""'$3 ~ /master/ && NF > 8 {sub(/@.*/, "", $2); """
    r"""port = $2; sub(/.*:/, "", port); sub(/:[^:]*$/, "", $2); print $2, port}'"""
    ' ;; *) echo "$1" 6379 ;; esac; }'
)
#: Turns lines (keys) into commands of the Redis protocol: VERB key, or VERB key field.
_PROTOCOL = (
    "protocol() { VERB=$1 FIELD=${2-} WORDS=$(($# + 1)) LC_ALL=C awk "
    r"""'function word(text) {printf "$%d\r\n%s\r\n", length(text), text} """
    r"""{printf "*%d\r\n", ENVIRON["WORDS"]; word(ENVIRON["VERB"]); word($0)} """
    r"""ENVIRON["WORDS"] > 2 {word(ENVIRON["FIELD"])}'; }"""
)


def cleanup_command(structure: Structure, instances: tuple[str, ...]) -> str:
    """Return the command that removes a point's data from some instances.

    The pattern finds candidates on the server; ``grep`` keeps those that match the template exactly. Names with line
    breaks are not matched: they stay until a person decides.

    :param structure: the point's storage structure.
    :param instances: host names of the Redis servers.
    """
    hosts = " ".join(quote(instance) for instance in instances)
    if structure.key.is_exact:
        body = _on_exact_key(structure)
        return f"(set -eo pipefail; for host in {hosts}; do {body}; done)"
    body = f'masters "$host" | while read -r node port; do {_on_node(structure)}; done'
    return f"(set -eo pipefail; {_MASTERS}; {_PROTOCOL}; for host in {hosts}; do {body}; done)"


def _on_exact_key(structure: Structure) -> str:
    redis = 'redis-cli -e -c -h "$host" -p 6379'  # -c: asks the master that has the key
    key = _text(structure.key)
    if structure.field is None:
        return f"{redis} UNLINK {key} </dev/null"
    return _on_key(structure.field, redis, key)


def _on_node(structure: Structure) -> str:
    redis = 'redis-cli -e -h "$node" -p "$port"'
    keys = f"{redis} --scan --pattern {quote(structure.key.glob.decode())} </dev/null | {_grep(structure.key)}"
    if structure.field is None:
        return f"{keys} | protocol UNLINK | {redis} --pipe"
    if structure.field.is_exact:
        return f"{keys} | protocol HDEL {_text(structure.field)} | {redis} --pipe"
    each = _on_key(structure.field, redis, '"$key"')
    return f"{keys} | while IFS= read -r key; do {each}; done"


def _on_key(field: Template, redis: str, key: str) -> str:
    if field.is_exact:
        return f"{redis} HDEL {key} {_text(field)} </dev/null"
    return f"{redis} HKEYS {key} </dev/null | {_grep(field)} | xargs -r -d '\\n' -n {BATCH} {redis} HDEL {key}"


def _grep(template: Template) -> str:
    return f"{{ LC_ALL=C grep -aE {quote(template.extended_regex)} || [ $? -eq 1 ]; }}"  # 1: no line matched


def _text(template: Template) -> str:
    return quote(template.exact.decode())
