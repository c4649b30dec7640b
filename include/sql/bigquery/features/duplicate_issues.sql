-- Purpose: count issues that draws_14w holds more than once in the span that a refresh wrote.
-- Grain: one row: rows, distinct issues.
-- Parameters: @first_issue, @last_issue (INT64); @read_from, @read_to (TIMESTAMP) partition bounds, half open.
SELECT
  COUNT(issue) AS row_count,
  COUNT(DISTINCT issue) AS issues
FROM `{{ project }}.{{ target_dataset }}.draws_14w`
WHERE ts_utc >= @read_from AND ts_utc < @read_to
  AND issue BETWEEN @first_issue AND @last_issue
