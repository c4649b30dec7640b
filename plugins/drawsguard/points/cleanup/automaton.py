"""Many templates as one automaton: which of them a name matches, and which of two sets can match the same name.

Templates share their prefixes in a trie of bytes and variables, so that ten thousand of them cost one walk per name.
Deciding is exact: the determinised states are those of the trie, built when a name first needs them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from drawsguard.points.cleanup.template import Template

Label = TypeVar("Label")
Other = TypeVar("Other")

#: Determinised states kept at most; hostile templates could otherwise fill the memory.
MAX_STATES = 200_000


@dataclass
class _Node(Generic[Label]):
    repeats: int = 0  # bytes that stay in this node: those of the variable that led here
    literals: dict[int, int] = field(default_factory=dict)
    variables: dict[int, int] = field(default_factory=dict)  # allowed bytes → node
    labels: list[Label] = field(default_factory=list)


class TemplateAutomaton(Generic[Label]):
    """A set of labelled templates.

    :param templates: pairs of a template and the label to report for it, e.g. the point's id.
    """

    def __init__(self, templates: Iterable[tuple[Template, Label]] = ()) -> None:
        self._nodes: list[_Node[Label]] = [_Node()]
        self._forget_states()
        for template, label in templates:
            self._add(template, label)

    def _add(self, template: Template, label: Label) -> None:
        current = 0
        for part in template.parts:
            if isinstance(part, bytes):
                for byte in part:
                    current = self._nodes[current].literals.setdefault(byte, len(self._nodes))
                    if current == len(self._nodes):
                        self._nodes.append(_Node())
            else:
                current = self._nodes[current].variables.setdefault(part.allowed, len(self._nodes))
                if current == len(self._nodes):
                    self._nodes.append(_Node(repeats=part.allowed))
        self._nodes[current].labels.append(label)

    def match(self, name: bytes) -> tuple[Label, ...]:
        """Return the labels of every template that matches the whole name, in the order they were added per node."""
        state = 0
        steps = self._steps
        for byte in name:
            following = steps[state].get(byte)
            if following is None:
                following = self._step(state, byte)
                if following < 0:  # the cache was emptied; start again
                    return self.match(name)
                steps = self._steps
            if following == self._dead:
                return ()
            state = following
        return self._accepted[state]

    def _forget_states(self) -> None:
        self._sets: list[frozenset[int]] = [frozenset((0,)), frozenset()]
        self._ids: dict[frozenset[int], int] = {state: number for number, state in enumerate(self._sets)}
        self._steps: list[dict[int, int]] = [{}, {}]
        self._accepted: list[tuple[Label, ...]] = [(), ()]
        self._dead = 1

    def _step(self, state: int, byte: int) -> int:
        """Build and return the state after ``byte``, or -1 when the cache was full and has been emptied."""
        bit = 1 << byte
        reached: set[int] = set()
        for number in self._sets[state]:
            node = self._nodes[number]
            if node.repeats & bit:
                reached.add(number)
            if byte in node.literals:
                reached.add(node.literals[byte])
            reached.update(target for allowed, target in node.variables.items() if allowed & bit)
        found = frozenset(reached)
        following = self._ids.get(found)
        if following is None:
            if len(self._sets) >= MAX_STATES:
                self._forget_states()
                return -1
            following = len(self._sets)
            self._ids[found] = following
            self._sets.append(found)
            self._steps.append({})
            self._accepted.append(tuple(label for number in sorted(found) for label in self._nodes[number].labels))
        self._steps[state][byte] = following
        return following

    def overlaps(self, other: TemplateAutomaton[Other]) -> set[tuple[Label, Other]]:
        """Return every pair of labels, one of each set, whose templates can match the same name."""
        pairs: set[tuple[Label, Other]] = set()
        seen = {(0, 0)}
        queue = deque(seen)
        while queue:
            mine, theirs = queue.popleft()
            left, right = self._nodes[mine], other._nodes[theirs]
            if left.labels and right.labels:
                pairs.update((a, b) for a in left.labels for b in right.labels)
            for step in _common_steps(left, mine, right, theirs):
                if step not in seen:
                    seen.add(step)
                    queue.append(step)
        return pairs


def _common_steps(left: _Node[Any], mine: int, right: _Node[Any], theirs: int) -> Iterable[tuple[int, int]]:
    for byte in left.literals.keys() & right.literals.keys():
        yield left.literals[byte], right.literals[byte]
    left_wide = [(left.repeats, mine), *left.variables.items()]
    right_wide = [(right.repeats, theirs), *right.variables.items()]
    for allowed, target in left_wide:
        for byte, following in right.literals.items():
            if allowed >> byte & 1:
                yield target, following
        for also_allowed, following in right_wide:
            if allowed & also_allowed:
                yield target, following
    for also_allowed, following in right_wide:
        for byte, target in left.literals.items():
            if also_allowed >> byte & 1:
                yield target, following
