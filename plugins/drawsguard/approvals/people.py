"""Who may answer an approval: one identity for requester, approver and responder under every auth manager.

Airflow names a person in two ways, and no place gives both but the answer: a run keeps the *name* of who triggered it
(``user.get_name()``), a question's ``assigned_users`` are compared with the *id* (``user.get_id()``), an answer carries
both. The simple auth manager's id is the name, FAB's a row number, Keycloak's the subject. docs/auth.md says more.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

#: An assignee that the auth managers of plugins/auth_managers understand; any other one matches it with nobody.
ROLE_PREFIX, EXCEPT_PREFIX = "role:", "except:"


class NotAllowedError(PermissionError):
    """The person may not approve this; the message says who may, and what to do."""


class AirflowUser(Protocol):
    """What every auth manager's user class offers."""

    def get_id(self) -> str: ...

    def get_name(self) -> str: ...


@dataclass(frozen=True)
class Person:
    """A user of Airflow. ``name`` is what people type to sign in; ``id`` is None where nobody gave it."""

    name: str
    id: str | None = None

    @classmethod
    def of_user(cls, user: AirflowUser) -> Person:
        """Return the person behind an auth manager's user."""
        return cls(user.get_name(), str(user.get_id()))

    @classmethod
    def of_answer(cls, responded_by: Mapping[str, Any] | None) -> Person | None:
        """Return who answered (``responded_by_user`` of the event); None without a name or an id."""
        name, user_id = ((responded_by or {}).get(key) for key in ("name", "id"))
        return cls(str(name), str(user_id)) if name and user_id else None

    def is_same_as(self, other: Person) -> bool:
        """Whether both are one person, in doubt yes: the same id, or names that read alike."""
        return (self.id is not None and self.id == other.id) or _as_read(self.name) == _as_read(other.name)

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Approvers:
    """Who may approve at all: people, and roles whose members the auth manager knows."""

    people: tuple[Person, ...]
    roles: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Approvers:
        """Read ``DRAWSGUARD_APPROVERS``: ``name``, ``name=id`` or ``role:NAME``, separated by commas.

        :raises ValueError: when it names nobody, somebody twice, or a role beside a name without its id.
        """
        people: list[Person] = []
        roles: list[str] = []
        for entry in filter(None, map(str.strip, text.split(","))):
            if entry.startswith(ROLE_PREFIX):
                roles.append(entry.removeprefix(ROLE_PREFIX).strip())
                continue
            name, equals, user_id = (part.strip() for part in entry.rpartition("="))
            people.append(Person(name, user_id) if equals else Person(user_id))
        for problem in _problems(people, roles):
            raise ValueError(f"DRAWSGUARD_APPROVERS is {text!r}: {problem}")
        return cls(tuple(people), tuple(roles))

    def identify(self, name: str) -> Person:
        """Return the person of that name, with the id that is configured for it."""
        return next((person for person in self.people if person.name == name), Person(name))

    def for_request(self, requester: str | None, earlier: Iterable[Person] = ()) -> Eligible:
        """Return who may answer what ``requester`` asked for, besides those who approved it ``earlier``.

        :param requester: the run's ``triggering_user_name``; None for a run that nobody asked for.
        :raises NotAllowedError: when nobody is named as the requester, or nobody is left to answer.
        """
        if not (requester or "").strip():
            raise NotAllowedError(
                "The run names no user who triggered it, so nobody can be told apart from the requester. "
                "Trigger the DAG in the UI or through the REST API as yourself."
            )
        excluded = (self.identify(str(requester)), *earlier)
        left = tuple(p for p in self.people if not any(p.is_same_as(other) for other in excluded))
        if not left and not self.roles:
            raise NotAllowedError(
                f"Nobody is left who may approve: approvers {_names(self.people)}; asked by {excluded[0]}; approved "
                f"before by {_names(excluded[1:]) or 'nobody'}. Name more people in DRAWSGUARD_APPROVERS."
            )
        return Eligible(left, self.roles, excluded)


@dataclass(frozen=True)
class Eligible:
    """Who may answer one question.

    :param people: by name, and by id where it is configured.
    :param roles: whoever has one of these, unless excluded.
    :param excluded: the requester, and who approved before.
    """

    people: tuple[Person, ...]
    roles: tuple[str, ...]
    excluded: tuple[Person, ...]

    def assigned_users(self) -> list[dict[str, str]]:
        """Return the question's ``assigned_users``, so that Airflow itself refuses others when they answer.

        Empty when the id of somebody is not configured: Airflow compares ids only, and would refuse that person.
        Everybody who may answer questions of the DAG can answer then, and :meth:`check` decides alone.
        """
        if any(person.id is None for person in self.people):
            return []
        assigned = [{"id": str(person.id), "name": person.name} for person in self.people]
        if self.roles:
            # Refused by name as well: a role may have the requester among its members.
            assigned += [{"id": f"{ROLE_PREFIX}{role}", "name": f"{ROLE_PREFIX}{role}"} for role in self.roles]
            for person in self.excluded:
                assigned.append({"id": f"{EXCEPT_PREFIX}{person.name}", "name": f"not {person.name}"})
        return assigned

    def check(self, responder: Person | None) -> Person:
        """Return the responder, who may have answered.

        A member of a role is believed because a question with a role always has assignees, which every auth manager
        compares before it stores an answer; one that does not know roles lets nobody of them through.

        :raises NotAllowedError: for nobody, the requester, an earlier approver, a stranger, or a name with another id.
        """
        if responder is None:
            raise NotAllowedError("Nobody answered, or the answer does not say who gave it: no answer means no.")
        for person in self.excluded:
            if responder.is_same_as(person):
                raise NotAllowedError(
                    f"{responder} asked for this or approved it before; another person must answer. May answer: {self}."
                )
        for person in self.people:
            if person.name == responder.name:
                if person.id not in (None, responder.id):
                    raise NotAllowedError(
                        f"{responder} has the id {responder.id}, DRAWSGUARD_APPROVERS says {person.id}: this may be "
                        "another account of that name. Correct the setting, or find out whose account it is."
                    )
                return responder
            if person.id == responder.id:
                raise NotAllowedError(
                    f"The account {responder.id} is {person.name} in DRAWSGUARD_APPROVERS and calls itself "
                    f"{responder.name} now: correct the setting if the account was renamed."
                )
        if self.roles:
            return responder
        raise NotAllowedError(f"{responder} may not approve this. May answer: {self}.")

    def __str__(self) -> str:
        return ", ".join([*map(str, self.people), *(f"{ROLE_PREFIX}{role}" for role in self.roles)])


def _as_read(name: str) -> str:
    """Return a name without what the eye does not see: case, width of letters, blanks around it, joiners (UAX #15)."""
    shown = (letter for letter in unicodedata.normalize("NFKC", name) if unicodedata.category(letter) != "Cf")
    return "".join(shown).strip().casefold()


def _names(people: Iterable[Person]) -> str:
    return ", ".join(map(str, people))


def _problems(people: list[Person], roles: list[str]) -> Iterable[str]:
    if not people and not roles:
        yield "it names nobody. Write for example: alice=3,bob=4 (ids: `airflow users list`), or role:points_approver."
    for position, person in enumerate(people):
        if not person.name or person.id == "":
            yield "an entry has an empty name or id. Write name, name=id or role:NAME, separated by commas."
        for other in people[:position]:
            if person.is_same_as(other):
                yield f"{other.name} and {person.name} are the same name or id. Keep one of them."
    if "" in roles:
        yield "role: needs a name behind it."
    for person in people if roles else []:
        if person.id is None:
            yield f"beside a role, {person.name} needs an id ({person.name}=id), or Airflow would ask everybody."
