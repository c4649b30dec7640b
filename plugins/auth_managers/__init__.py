"""Auth managers for ``[core] auth_manager`` that let an approval be assigned to a role."""
