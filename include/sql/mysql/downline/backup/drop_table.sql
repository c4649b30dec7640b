-- Purpose: remove an unproven backup or a scratch copy.
-- Grain: one table.
-- Parameters: schema, table (identifiers); the caller passes the backup schema only.
-- Repeatable: IF EXISTS.
DROP TABLE IF EXISTS `{{ schema }}`.`{{ table }}`
