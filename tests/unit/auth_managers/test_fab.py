"""Our FAB auth manager: an approval assigned to a role, with FAB's own users and roles."""

from __future__ import annotations

import pytest
from airflow.providers.fab.auth_manager.models import Role, User

from auth_managers.fab import ApproverRolesFabAuthManager
from drawsguard.approvals.people import Approvers


def user(user_id: int, name: str, *roles: str) -> User:
    return User(id=user_id, username=name, roles=[Role(name=role) for role in roles])


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (user(3, "alice"), True),  # by id
        (user(4, "bob", "Viewer", "points_approver"), False),  # the requester, though a member
        (user(5, "carol", "Viewer", "points_approver"), True),
        (user(6, "mallory", "Viewer", "points_operator"), False),
        (user(7, "root", "Admin"), False),
        (user(8, "role:points_approver"), False),  # a name is no role
    ],
    ids=lambda value: getattr(value, "username", None),
)
def test_members_of_the_role_and_named_people_may_answer(answers: User, expected: bool) -> None:
    eligible = Approvers.parse("alice=3,role:points_approver").for_request("bob")
    assigned = {assignee["id"] for assignee in eligible.assigned_users()}
    assert ApproverRolesFabAuthManager().is_authorized_hitl_task(assigned_users=assigned, user=answers) is expected
