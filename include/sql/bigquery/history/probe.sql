-- Purpose: fail when a table does not exist, or has no column for the time of writing; read nothing otherwise.
-- Grain: one row, without content.
-- Parameters: @nowhere (TIMESTAMP): the range is empty, so that no partition is read.
SELECT MAX({{ stamp }}) AS stamp
FROM `{{ project }}.{{ dataset }}.{{ adopted }}`
WHERE {{ drawn_at }} >= @nowhere AND {{ drawn_at }} < @nowhere
