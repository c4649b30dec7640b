-- Purpose: the columns of collection_quality_v that a check judges, for days of any age: an alert about a day ends when
--   the day is whole, and not because it left the view.
-- Grain: one row a Beijing day from @first_day to @last_day.
-- Parameters: @first_day, @last_day (DATE, inclusive), @as_of (TIMESTAMP); the columns come from checks.yaml.
SELECT
  {{ columns | join(', ') }}
FROM `{{ project }}.{{ monitor_dataset }}.collection_quality_between`(@first_day, @last_day, @as_of)
ORDER BY beijing_day;
