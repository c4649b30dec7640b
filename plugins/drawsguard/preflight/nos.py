"""NOS: the service that knows the storage structure of points."""

from __future__ import annotations

from collections.abc import Iterator

from drawsguard.preflight.model import Check, Finding, World, passed
from drawsguard.preflight.run import cause

#: A point that may or may not exist: either answer shows that NOS speaks the protocol.
POINT = 1


def answers(world: World) -> Iterator[Finding]:
    """NOS answers a question in its protocol, be it that it knows no such point."""
    with world.nos() as nos:
        try:
            structure = nos.structure(POINT)
        except Exception as error:
            if "Refused" not in type(error).__name__:
                raise
            yield passed(cause(error))
            return
    yield passed(f"点 point {POINT}: {structure.cluster}")


CHECKS = (
    Check(
        "NOS",
        "answers",
        "可连接 Answers",
        answers,
        "检查连接 nos_default 的主机与端口，并确认服务按行协议应答。"
        "Correct host and port of nos_default, and make sure that the "
        "service speaks the line protocol.",
    ),
)
