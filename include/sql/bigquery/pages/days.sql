-- Purpose: how many draws each day has, and which, to see where some are missing.
-- Grain: one row a Beijing day with draws, oldest first.
-- Parameters: @first (DATE).
SELECT
  beijing_day,
  draws,
  first_period,
  last_period
FROM `{{ project }}.{{ target_dataset }}.draws_daily_stats_v`
WHERE beijing_day >= @first
ORDER BY beijing_day;
