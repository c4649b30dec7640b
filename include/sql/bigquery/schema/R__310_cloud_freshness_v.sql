-- Purpose: is every table as fresh as the cadence lets it be. The limit of a table is a draw's way to it: poll and run
--   (180 s), plus the sync's interval and run (540 s), plus the refresh's (1200 s). Maintenance is no delay.
-- Grain: one row an expected table, with or without rows in it.
-- Parameters: the function takes the time of judgement, so that past days can be replayed; the view judges now.
-- status: empty (no draw in 30 days), stale (3 draws or more are overdue), late (1 or 2), fresh. A single draw that the
--   feed itself brings late or loses is late, not stale.

CREATE OR REPLACE TABLE FUNCTION `{{ project }}.{{ monitor_dataset }}.cloud_freshness_at`(as_of TIMESTAMP) AS
SELECT
  table_name,
  stage,
  last_draw_ts,
  last_write_ts,
  TIMESTAMP_DIFF(as_of, last_draw_ts, SECOND) / 60 AS minutes_ago,
  overdue_draws,
  `{{ project }}.{{ monitor_dataset }}.in_maintenance`(as_of) AS in_maintenance,
  CASE
    WHEN last_draw_ts IS NULL THEN 'empty'
    WHEN overdue_draws >= 3 THEN 'stale'
    WHEN overdue_draws > 0 THEN 'late'
    ELSE 'fresh'
  END AS status
FROM (
  SELECT
    e.table_name,
    e.stage,
    seen.last_draw_ts,
    seen.last_write_ts,
    `{{ project }}.{{ monitor_dataset }}.overdue_draws`(seen.last_draw_ts, as_of, e.allowance_seconds) AS overdue_draws
  FROM
    UNNEST([
      STRUCT('source.draws' AS table_name, 'collect' AS stage, 180 AS allowance_seconds),
      STRUCT('target.draws' AS table_name, 'sync' AS stage, 540 AS allowance_seconds),
      STRUCT('target.draws_14w' AS table_name, 'feature' AS stage, 1200 AS allowance_seconds)
    ]) AS e
  LEFT JOIN (
    SELECT
      'source.draws' AS table_name,
      MAX(timestamp) AS last_draw_ts,
      MAX(ingested_at) AS last_write_ts
    FROM `{{ project }}.{{ source_dataset }}.draws`
    WHERE timestamp >= TIMESTAMP_SUB(as_of, INTERVAL 30 DAY) AND timestamp <= as_of AND ingested_at <= as_of
    UNION ALL
    SELECT
      'target.draws' AS table_name,
      MAX(timestamp) AS last_draw_ts,
      MAX(synced_at) AS last_write_ts
    FROM `{{ project }}.{{ target_dataset }}.draws`
    WHERE timestamp >= TIMESTAMP_SUB(as_of, INTERVAL 30 DAY) AND timestamp <= as_of AND synced_at <= as_of
    UNION ALL
    SELECT
      'target.draws_14w' AS table_name,
      MAX(ts_utc) AS last_draw_ts,
      MAX(computed_at) AS last_write_ts
    FROM `{{ project }}.{{ target_dataset }}.draws_14w`
    WHERE ts_utc >= TIMESTAMP_SUB(as_of, INTERVAL 30 DAY) AND ts_utc <= as_of AND computed_at <= as_of
  ) AS seen
    ON e.table_name = seen.table_name
);

CREATE OR REPLACE VIEW `{{ project }}.{{ monitor_dataset }}.cloud_freshness_v`
OPTIONS (description = 'Freshness of every expected table, judged by the cadence.') AS
SELECT
  table_name, stage, last_draw_ts, last_write_ts, minutes_ago, overdue_draws, in_maintenance, status
FROM `{{ project }}.{{ monitor_dataset }}.cloud_freshness_at`(CURRENT_TIMESTAMP());
