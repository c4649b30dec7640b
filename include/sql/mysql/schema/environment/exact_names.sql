-- Purpose: names are equal only when all their characters are (see governance/exact_names.sql).
-- Grain: the whole table; no two rows can become equal by it.
-- Repeatable: a table that has the collation keeps it.
ALTER TABLE `{{ journal_schema }}`.points_journal CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin
