"""What the tests of the sweep share: hostile keys, tickets of a few structures, sweeps, and a ledger that dies."""

from __future__ import annotations

import re

from hypothesis import strategies as st

from drawsguard.points.cleanup.config import get_config
from drawsguard.points.cleanup.instance import RedisInstance
from drawsguard.points.cleanup.structure import read_structure
from drawsguard.points.cleanup.sweep import Sweep
from drawsguard.points.cleanup.ticket import Ticket
from drawsguard.points.downline.structure_repository import Structure
from local.memory_ledger import MemoryLedger

CONFIG = get_config()

#: Templates and keys that meet each other in every way that ends badly.
PATTERNS = ["evt:{uid}:7", "evt:{date}:x*y", "[ab]{uid}", "q?{uid}", "{{tag}}:{uid}", "exact*", "back\\{uid}", "é{uid}"]
hostile = st.one_of(
    st.binary(max_size=6),
    st.sampled_from([b"", b"evt::7", b"evt:a:7", b"evt:a:b:7", b"evt:a:77", b"evt:1:x*y", b"evt:1:xzy", b"a1", b"b1"]),
    st.sampled_from([b"[ab]1", b"[ab]", b"qz1", b"q?1", b"{tag}:1", b"tag:1", b"exact*", b"exact", b"exactly", b"*"]),
    st.sampled_from([b"back\\1", b"back1", b"evt:\n:7", b"evt:\x00\xff:7", "é1".encode(), b"\xe91", b"evt:1:7\n"]),
    st.builds(lambda a, b: b"evt:" + a + b":7" + b, st.binary(max_size=3), st.binary(max_size=1)),
)


def matches(structure, key):
    expression = b"".join(
        re.escape(part) if isinstance(part, bytes) else part.character_class.encode() + b"+"
        for part in structure.key.parts
    )
    return re.compile(expression, re.DOTALL).fullmatch(key) is not None


def structures(*specifications):
    """Structures from (eid, type, key[, field])."""
    return tuple(
        read_structure(
            Structure(eid, "redis_evt_A", redis_type, key, field[0] if field else None), CONFIG.variable_classes
        )
        for eid, redis_type, key, *field in specifications
    )


def ticket(*specifications):
    return Ticket("b1", "redis_evt_A", CONFIG.routes[2], ("evt-001-redis",), structures(*specifications))


def sweep(made, connect, ledger=None, *, small=True, **options):
    settings = CONFIG.sweep.model_copy(
        update={"scan_count": 10, "batch_items": 7, "recovery_seconds": 20} if small else {}
    )
    settings = settings.model_copy(update=options.pop("update", {}))
    return Sweep(
        made, [RedisInstance("evt-001-redis", connect)], ledger or MemoryLedger(), settings, CONFIG.samples, **options
    )


class Killed(BaseException):
    """Stands for SIGKILL: nothing between here and the caller may act on it."""


class MortalLedger(MemoryLedger):
    """Dies before or after its n-th durable write."""

    def __init__(self):
        super().__init__()
        self.countdown = None
        self.after = False

    def _dies(self, write):
        if self.countdown is None:
            return write()
        self.countdown -= 1
        if self.countdown == 0 and not self.after:
            raise Killed
        write()
        if self.countdown == 0:
            raise Killed
        return None

    def intend(self, *arguments):
        return self._dies(lambda: MemoryLedger.intend(self, *arguments))

    def record(self, *arguments):
        return self._dies(lambda: MemoryLedger.record(self, *arguments))
