-- Purpose: daily statistics of the draws: how many, mean and deviation of the sum, big and odd ones.
-- Grain: one row per Beijing day with draws.
-- missing_periods counts gaps between the first and the last draw of the row; the feed's pauses leave none.
CREATE OR REPLACE VIEW `{{ project }}.{{ target_dataset }}.draws_daily_stats_v` AS
SELECT
  beijing_day,
  draws,
  last_period - first_period + 1 - draws AS missing_periods,
  first_period,
  last_period,
  sum_total / draws AS mean_sum,
  IF(draws > 1, SQRT((draws * sum_squares - sum_total * sum_total) / (draws * (draws - 1))), NULL) AS std_sum,
  big_draws,
  odd_draws
FROM (
  SELECT
    DATE(hour_utc, 'Asia/Shanghai') AS beijing_day,
    SUM(draws) AS draws,
    SUM(sum_total) AS sum_total,
    SUM(sum_squares) AS sum_squares,
    SUM(big_draws) AS big_draws,
    SUM(odd_draws) AS odd_draws,
    MIN(first_period) AS first_period,
    MAX(last_period) AS last_period
  FROM `{{ project }}.{{ target_dataset }}.draws_hourly_mv`
  WHERE hour_utc >= TIMESTAMP '2000-01-01 00:00:00+00'
  GROUP BY beijing_day
);
