-- Purpose: copy every row of a table into an empty one that was created LIKE it a moment ago. Columns are named: hidden
--          ones are not among those of *, and generated ones take no value.
-- Grain: one row a row.
-- Parameters: schema, table, source_schema, source_table, columns (identifiers).
-- Repeatable: the target was just created; the caller compares checksums.
INSERT INTO `{{ schema }}`.`{{ table }}` ({% for column in columns %}`{{ column }}`{{ "" if loop.last else ", " }}{% endfor %})
SELECT {% for column in columns %}`{{ column }}`{{ "" if loop.last else ", " }}{% endfor %}

FROM `{{ source_schema }}`.`{{ source_table }}`
