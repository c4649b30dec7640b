"""One identity for requester, approver and responder, with the user classes of the three auth managers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.api_fastapi.auth.managers.base_auth_manager import BaseAuthManager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.providers.fab.auth_manager.models import User
from airflow.providers.keycloak.auth_manager.user import KeycloakAuthManagerUser

from drawsguard.approvals.people import AirflowUser, Approvers, NotAllowedError, Person

#: Row numbers and subjects as the managers would give them.
FAB_IDS = {"alice": 3, "bob": 4, "carol": 5, "mallory": 6}


def simple(name: str) -> AirflowUser:
    return SimpleAuthManagerUser(username=name, role="user")


def fab(name: str) -> AirflowUser:
    return User(id=FAB_IDS[name], username=name, first_name=name, last_name="", email=f"{name}@example.com")


def keycloak(name: str) -> AirflowUser:
    return KeycloakAuthManagerUser(user_id=f"f3c9-{name}", name=name, access_token="token", refresh_token=None)


Manager = Callable[[str], AirflowUser]
MANAGERS = pytest.mark.parametrize("manager", [simple, fab, keycloak])


def setting(manager: Manager, *names: str) -> Approvers:
    """Return the approvers with the ids that the manager gives."""
    return Approvers.parse(",".join(f"{name}={manager(name).get_id()}" for name in names))


def answered_by(user: AirflowUser) -> dict[str, Any]:
    """Return what Airflow hands the task: ``responded_by_user`` of the event."""
    return {"id": str(user.get_id()), "name": user.get_name()}


def lets_through(user: AirflowUser, assigned: list[dict[str, str]]) -> bool:
    """Whether Airflow's route lets ``user`` answer: its own check, which is skipped without assignees."""
    ids = {assignee["id"] for assignee in assigned}
    return not ids or BaseAuthManager.is_authorized_hitl_task(None, assigned_users=ids, user=user)  # type: ignore[arg-type]


@MANAGERS
def test_airflow_and_the_check_agree_on_who_may_answer(manager: Manager) -> None:
    # bob asks: the run keeps his name, whatever his id is.
    eligible = setting(manager, "alice", "bob", "carol").for_request(
        manager("bob").get_name(), [Person.of_user(manager("carol"))]
    )
    for name, may in {"alice": True, "bob": False, "carol": False, "mallory": False}.items():
        user = manager(name)
        assert lets_through(user, eligible.assigned_users()) is may, name
        if may:
            assert eligible.check(Person.of_answer(answered_by(user))) == Person.of_user(user)
        else:
            with pytest.raises(NotAllowedError):
                eligible.check(Person.of_answer(answered_by(user)))


@MANAGERS
def test_without_ids_airflow_asks_everybody_and_the_check_decides_by_name(manager: Manager) -> None:
    eligible = Approvers.parse("alice, bob").for_request("bob")
    assert eligible.assigned_users() == []
    assert eligible.check(Person.of_answer(answered_by(manager("alice")))).name == "alice"
    for name in ("bob", "mallory"):
        with pytest.raises(NotAllowedError):
            eligible.check(Person.of_answer(answered_by(manager(name))))


@MANAGERS
def test_one_missing_id_leaves_the_decision_to_the_check(manager: Manager) -> None:
    """Airflow compares ids only: with the others assigned, the one without would be refused."""
    eligible = Approvers.parse(f"alice={manager('alice').get_id()},carol").for_request("bob")
    assert eligible.assigned_users() == []
    assert eligible.check(Person.of_user(manager("carol"))).name == "carol"


def test_an_account_that_took_a_name_is_refused() -> None:
    eligible = setting(keycloak, "alice", "carol").for_request("bob")
    renamed = KeycloakAuthManagerUser(user_id="f3c9-mallory", name="alice", access_token="t", refresh_token=None)
    with pytest.raises(NotAllowedError, match=r"alice has the id f3c9-mallory, .* says f3c9-alice"):
        eligible.check(Person.of_user(renamed))


def test_a_requester_who_renames_the_account_cannot_answer() -> None:
    renamed = KeycloakAuthManagerUser(user_id="f3c9-alice", name="zoe", access_token="t", refresh_token=None)
    with pytest.raises(NotAllowedError, match="asked for this"):
        setting(keycloak, "alice", "carol").for_request("alice").check(Person.of_user(renamed))
    with pytest.raises(NotAllowedError, match="calls itself zoe now"):
        setting(keycloak, "alice", "carol").for_request("carol").check(Person.of_user(renamed))


def test_a_name_that_differs_in_case_is_the_requester_and_is_no_approver() -> None:
    with pytest.raises(NotAllowedError, match="asked for this"):
        Approvers.parse("alice,Bob").for_request("bob", []).check(Person("BOB", "9"))
    with pytest.raises(NotAllowedError, match="may not approve"):
        Approvers.parse("alice").for_request("bob").check(Person("Alice", "9"))


@pytest.mark.parametrize("name", ["bob ", " Bob", "ｂｏｂ", "bo\u200bb", "BOB\n", "b\u00adob"])
def test_a_name_that_reads_like_the_requester_is_the_requester(name: str) -> None:
    """FAB keeps names as they were typed: each of these is an account of its own, and one person's."""
    assert Person("bob", "4").is_same_as(Person(name, "9"))
    with pytest.raises(NotAllowedError, match="asked for this"):
        Approvers.parse(f"alice=3,{name.strip()}=9").for_request("bob").check(Person(name, "9"))


def test_names_that_read_differently_are_two_people() -> None:
    assert not Person("bob", "4").is_same_as(Person("bob2", "9"))


def test_an_id_that_looks_like_a_name_is_not_taken_for_one() -> None:
    """FAB's row number 4 is not the user who calls herself 4."""
    eligible = Approvers.parse("bob=4").for_request("alice")
    with pytest.raises(NotAllowedError):
        eligible.check(Person("4", "17"))
    assert not Person("4", "17").is_same_as(Person("bob", "4"))


@pytest.mark.parametrize("responder", [None, {}, {"id": "3"}, {"name": "alice"}, {"id": "", "name": "alice"}])
def test_nobody_is_no_approver(responder: dict[str, str] | None) -> None:
    for text in ("alice,carol", "role:approvers"):
        with pytest.raises(NotAllowedError, match="no answer means no"):
            Approvers.parse(text).for_request("bob").check(Person.of_answer(responder))


@pytest.mark.parametrize("requester", [None, "", "  "])
def test_a_run_without_a_requester_can_ask_nobody(requester: str | None) -> None:
    with pytest.raises(NotAllowedError, match="names no user who triggered it"):
        Approvers.parse("alice").for_request(requester)


def test_nobody_left_is_refused_and_not_asked_of_everybody() -> None:
    with pytest.raises(NotAllowedError, match=r"approvers alice, bob; asked by alice; approved before by bob"):
        Approvers.parse("alice,bob").for_request("alice", [Person("bob")])


# --- roles --------------------------------------------------------------------------------------------------
@MANAGERS
def test_a_role_is_always_assigned_so_that_no_manager_asks_everybody(manager: Manager) -> None:
    eligible = Approvers.parse("role:points_approver").for_request("bob")
    assert not any(lets_through(manager(name), eligible.assigned_users()) for name in FAB_IDS)


def test_whom_the_auth_manager_let_through_for_a_role_is_believed_but_not_the_requester() -> None:
    eligible = Approvers.parse("alice=3, role:points_approver").for_request("bob", [Person("carol", "5")])
    assert eligible.check(Person("dave", "8")) == Person("dave", "8")
    for person in (Person("bob", "4"), Person("carol", "5"), Person("caroline", "5")):
        with pytest.raises(NotAllowedError, match="another person must answer"):
            eligible.check(person)
    with pytest.raises(NotAllowedError, match="another account"):
        eligible.check(Person("alice", "8"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names nobody"),
        (" , ", "names nobody"),
        ("=3", "empty name or id"),
        ("alice=", "empty name or id"),
        ("role:", "needs a name behind it"),
        ("alice,Alice", "the same name or id"),
        ("alice=3,bob=3", "the same name or id"),
        ("alice,role:approvers", r"alice needs an id \(alice=id\)"),
    ],
)
def test_a_setting_that_cannot_be_understood_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Approvers.parse(text)
