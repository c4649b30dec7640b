-- Purpose: which periods the source holds in each hour, and when the last of its versions was collected: where the
--   versions of a draw lie, and what changed, are known from a few bytes an hour, over the whole history.
-- Grain: one row per UTC hour with versions.
-- Repeatable: the view is recreated; BigQuery keeps the content equal to the base table.
CREATE OR REPLACE MATERIALIZED VIEW `{{ project }}.{{ source_dataset }}.draw_versions_hourly_mv`
PARTITION BY DATE(hour_utc)
OPTIONS (enable_refresh = TRUE, refresh_interval_minutes = 30)
AS
SELECT
  TIMESTAMP_TRUNC(timestamp, HOUR) AS hour_utc,
  COUNT(*) AS versions,
  MIN(period) AS first_period,
  MAX(period) AS last_period,
  MAX(ingested_at) AS last_ingested_at
FROM `{{ project }}.{{ source_dataset }}.draws`
WHERE timestamp >= TIMESTAMP '2000-01-01 00:00:00+00'
GROUP BY hour_utc;
