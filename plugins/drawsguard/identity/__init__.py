"""Identity (OIDC) checks between Cloud Scheduler and Cloud Run, and their repair, as plain decisions."""
