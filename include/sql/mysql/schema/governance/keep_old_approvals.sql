-- Purpose: keep the answers of version one where nobody can change them.
-- Grain: the whole table; one statement, so that it happens or does not.
-- Repeatable: a table that was renamed is not there to be renamed again: the migration looks first.
RENAME TABLE points_lifecycle.approval TO governance_audit.approval_v1
