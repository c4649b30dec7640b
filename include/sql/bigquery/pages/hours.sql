-- Purpose: how many draws each hour has, and which, to see where some are missing.
-- Grain: one row a UTC hour with draws, oldest first.
-- Parameters: @since (TIMESTAMP): older hours are not read.
SELECT
  hour_utc,
  draws,
  first_period,
  last_period
FROM `{{ project }}.{{ target_dataset }}.draws_hourly_mv`
WHERE hour_utc >= @since
ORDER BY hour_utc;
