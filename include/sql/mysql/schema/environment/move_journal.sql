-- Purpose: move the journal where the users of the run time can drop no table: they may where backups lie.
-- Grain: the whole table; one statement, so that it happens or does not.
-- Parameters: backup_schema, journal_schema (identifiers).
-- Repeatable: a table that was moved is not there to be moved again: the migration looks first.
RENAME TABLE `{{ backup_schema }}`.points_journal TO `{{ journal_schema }}`.points_journal
