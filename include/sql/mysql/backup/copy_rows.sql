-- Purpose: copy every row of a table into an empty one. Both have the same columns in the same order: one was created
--          LIKE the other a moment ago.
-- Grain: one row a row.
-- Parameters: schema, table, source_schema, source_table (identifiers).
-- Why it can be re-run: the target was just created; the caller compares checksums.
INSERT INTO `{{ schema }}`.`{{ table }}`
SELECT * FROM `{{ source_schema }}`.`{{ source_table }}`
