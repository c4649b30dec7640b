"""Make the embedded stack's users and their roles in FAB's tables; repeatable. A part of local/initialise.py."""

from __future__ import annotations

import json

from local.config import FAB_ROLES, Config


def main(config: Config) -> None:
    """Make roles and users, set their passwords, and keep the ids that FAB gave them."""
    from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder
    from airflow.utils.providers_configuration_loader import providers_configuration_loaded
    from werkzeug.security import check_password_hash

    @providers_configuration_loaded
    def make() -> dict[str, str]:
        ids = {}
        with get_application_builder() as builder:
            builder.add_permissions(update_perms=True)
            builder.sm.sync_roles()  # those of [fab] custom_roles as well
            for name, password in config.passwords().items():
                roles = [builder.sm.find_role(role) for role in FAB_ROLES[name]]
                user = builder.sm.find_user(username=name)
                if user is None:
                    user = builder.sm.add_user(name, name, "(embedded)", f"{name}@example.com", roles, password)
                if not check_password_hash(user.password, password):
                    builder.sm.reset_password(user.id, password)
                ids[name] = user.get_id()
        return ids

    draft = config.user_ids_file.with_suffix(".draft")
    draft.write_text(json.dumps(make()))
    draft.rename(config.user_ids_file)
