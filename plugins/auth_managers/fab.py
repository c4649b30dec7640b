"""FAB's auth manager, which can also assign an approval to a role.

``AIRFLOW__CORE__AUTH_MANAGER=auth_managers.fab.ApproverRolesFabAuthManager``. Airflow turns the access control of DAGs
into permissions only where the name of this setting contains "FabAuthManager".
"""

from __future__ import annotations

from airflow.providers.fab.auth_manager.fab_auth_manager import FabAuthManager
from airflow.providers.fab.auth_manager.models import User

from drawsguard.approvals.people import EXCEPT_PREFIX, ROLE_PREFIX


class ApproverRolesFabAuthManager(FabAuthManager):
    """FAB's auth manager; ``role:NAME`` among a question's assignees stands for the members of that role."""

    def is_authorized_hitl_task(self, *, assigned_users: set[str], user: User) -> bool:
        """Whether ``user`` is an assignee: by id, or by role unless excluded by name."""
        if super().is_authorized_hitl_task(assigned_users=assigned_users, user=user):
            return True
        if f"{EXCEPT_PREFIX}{user.get_name()}" in assigned_users:
            return False
        return any(f"{ROLE_PREFIX}{role.name}" in assigned_users for role in user.roles)
