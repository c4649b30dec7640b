-- Purpose: the draws of a span and how far each has come, for the operations pages: when it was collected, synced, and when
--   its features were computed. Three tables, each read once.
-- Grain: one row a draw of the source, newest first.
-- Parameters: @since (inclusive), @until (exclusive) (TIMESTAMP): the span.
SELECT
  s.period,
  s.draw_time,
  s.ingested_at,
  s.newest_write,
  s.corrected,
  t.numbers,
  t.sum_value,
  t.big_small,
  t.odd_even,
  t.synced_at,
  f.computed_at,
  f.rolling_avg_10,
  f.streak_big_small,
  f.streak_odd_even,
  f.same_sum_gap
FROM (
  SELECT
    period,
    MIN(timestamp) AS draw_time,
    MIN(ingested_at) AS ingested_at,
    MAX(ingested_at) AS newest_write,
    COUNTIF(updated_at IS NOT NULL) > 0 AS corrected
  FROM `{{ project }}.{{ source_dataset }}.draws`
  WHERE timestamp >= @since AND timestamp < @until
  GROUP BY period
) AS s
LEFT JOIN (
  SELECT
    period,
    numbers,
    sum_value,
    big_small,
    odd_even,
    synced_at
  FROM `{{ project }}.{{ target_dataset }}.draws`
  WHERE timestamp >= @since AND timestamp < @until
) AS t
  ON s.period = t.period
LEFT JOIN (
  SELECT
    issue,
    computed_at,
    rolling_avg_10,
    streak_big_small,
    streak_odd_even,
    same_sum_gap
  FROM `{{ project }}.{{ target_dataset }}.draws_14w`
  WHERE ts_utc >= @since AND ts_utc < @until
) AS f
  ON s.period = f.issue
ORDER BY s.period DESC;
