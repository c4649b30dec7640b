"""The shell commands that clean a point: what a ticket asks the DBA to run, quoted for bash."""

from __future__ import annotations

from shlex import quote

from drawsguard.points.cleanup.structure import Structure
from drawsguard.points.cleanup.template import Template

#: Arguments of one UNLINK or HDEL.
BATCH = 500


def cleanup_command(structure: Structure, instances: tuple[str, ...]) -> str:
    """Return the command that removes a point's data from some instances.

    The pattern finds candidates on the server; ``grep`` keeps those that match the template exactly. Names with line
    breaks are not matched: they stay, and a person decides.

    :param structure: the point's storage structure.
    :param instances: host names of the Redis servers.
    """
    hosts = " ".join(quote(instance) for instance in instances)
    return f"for host in {hosts}; do {_on_host(structure)}; done"


def _on_host(structure: Structure) -> str:
    redis = 'redis-cli -h "$host"'
    unlink = f"xargs -r -d '\\n' -n {BATCH} {redis} UNLINK"
    if structure.field is None:
        if structure.key.is_exact:
            return f"{redis} UNLINK {_text(structure.key)}"
        return f"{_keys(structure.key, redis)} | {unlink}"
    if structure.key.is_exact:
        return _on_key(structure.field, redis, _text(structure.key))
    each = _on_key(structure.field, redis, '"$key"')
    return f"{_keys(structure.key, redis)} | while IFS= read -r key; do {each}; done"


def _keys(key: Template, redis: str) -> str:
    return f"{redis} --scan --pattern {quote(key.glob.decode())} | {_grep(key)}"


def _on_key(field: Template, redis: str, key: str) -> str:
    if field.is_exact:
        return f"{redis} HDEL {key} {_text(field)} </dev/null"
    return f"{redis} HKEYS {key} </dev/null | {_grep(field)} | xargs -r -d '\\n' -n {BATCH} {redis} HDEL {key}"


def _grep(template: Template) -> str:
    return f"LC_ALL=C grep -aE {quote(template.extended_regex)}"


def _text(template: Template) -> str:
    return quote(template.exact.decode())
