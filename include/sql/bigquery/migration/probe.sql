-- Purpose: fail when a table does not exist; read nothing otherwise.
-- Grain: one row, without content.
-- Parameters: @nowhere (TIMESTAMP): the range is empty, so that no partition is read.
-- Why it can be re-run: it only reads.
SELECT MIN(period) AS period
FROM `{{ project }}.{{ dataset }}.{{ table }}`
WHERE timestamp >= @nowhere AND timestamp < @nowhere
