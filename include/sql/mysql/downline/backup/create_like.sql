-- Purpose: an empty table with another one's columns and keys.
-- Grain: one table.
-- Parameters: schema, table, source_schema, source_table (identifiers).
-- Repeatable: the caller drops the table first; an existing one is an error, never overwritten.
CREATE TABLE `{{ schema }}`.`{{ table }}` LIKE `{{ source_schema }}`.`{{ source_table }}`
