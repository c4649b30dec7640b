-- Purpose: move the audit trail where its rows can only be added to.
-- Grain: the whole table; one statement, so that it happens or does not.
-- Repeatable: a table that was moved is not there to be moved again: the migration looks first.
RENAME TABLE points_lifecycle.audit TO governance_audit.audit
