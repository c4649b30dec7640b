-- Purpose: how long draws take through each stage: collect (draw to source), sync (source to target), feature (target to
--   features), end_to_end (draw to target, the objective: p95 at most 300 s).
-- Grain: one row an hour (of the draw) and stage, the last 24 whole hours and the present one, with or without draws.
-- Parameters: the function takes the time of judgement; the view judges now.
-- A corrected draw is left out: its newest write is not its first arrival. So is one that was drawn before the first poll
--   of the feed: it is history that was loaded, and was nobody's to collect in time.

CREATE OR REPLACE TABLE FUNCTION `{{ project }}.{{ monitor_dataset }}.e2e_latency_summary_at`(as_of TIMESTAMP) AS
SELECT
  hour_utc,
  stage_name AS stage,
  COUNT(seconds) AS n,
  APPROX_QUANTILES(seconds, 100)[OFFSET(50)] AS p50,
  APPROX_QUANTILES(seconds, 100)[OFFSET(95)] AS p95,
  APPROX_QUANTILES(seconds, 100)[OFFSET(99)] AS p99,
  IF(COUNT(seconds) > 0, ROUND(100 * COUNTIF(seconds > 300) / COUNT(seconds), 2), NULL) AS breach_pct
FROM (
  SELECT
    hour_utc,
    stage_name,
    CASE stage_name
      WHEN 'collect' THEN TIMESTAMP_DIFF(ways.ingested_at, ways.draw_time, SECOND)
      WHEN 'sync' THEN TIMESTAMP_DIFF(ways.synced_at, ways.ingested_at, SECOND)
      WHEN 'feature' THEN TIMESTAMP_DIFF(ways.computed_at, ways.synced_at, SECOND)
      ELSE TIMESTAMP_DIFF(ways.synced_at, ways.draw_time, SECOND)
    END AS seconds
  FROM
    UNNEST(
      GENERATE_TIMESTAMP_ARRAY(
        TIMESTAMP_SUB(TIMESTAMP_TRUNC(as_of, HOUR), INTERVAL 24 HOUR),
        TIMESTAMP_TRUNC(as_of, HOUR),
        INTERVAL 1 HOUR
      )
    ) AS hour_utc
  CROSS JOIN UNNEST(['collect', 'sync', 'feature', 'end_to_end']) AS stage_name
  LEFT JOIN (
    SELECT
      s.period,
      TIMESTAMP_TRUNC(s.draw_time, HOUR) AS draw_hour,
      s.draw_time,
      s.ingested_at,
      t.synced_at,
      f.computed_at
    FROM (
      SELECT
        period,
        MIN(timestamp) AS draw_time,
        MIN(ingested_at) AS ingested_at
      FROM `{{ project }}.{{ source_dataset }}.draws`
      WHERE
        timestamp >= TIMESTAMP_SUB(as_of, INTERVAL 26 HOUR)
        AND timestamp <= as_of
        AND ingested_at <= as_of
        AND timestamp >= (
          SELECT COALESCE(MIN(polled_at), TIMESTAMP '2000-01-01 00:00:00+00')
          FROM `{{ project }}.{{ monitor_dataset }}.collect_log`
          WHERE polled_at >= TIMESTAMP_SUB(as_of, INTERVAL 2 DAY)
        )
      GROUP BY period
      HAVING COUNTIF(updated_at IS NOT NULL) = 0
    ) AS s
    LEFT JOIN (
      SELECT
        period,
        synced_at
      FROM `{{ project }}.{{ target_dataset }}.draws`
      WHERE timestamp >= TIMESTAMP_SUB(as_of, INTERVAL 26 HOUR) AND timestamp <= as_of AND synced_at <= as_of
    ) AS t
      ON s.period = t.period
    LEFT JOIN (
      SELECT
        issue,
        computed_at
      FROM `{{ project }}.{{ target_dataset }}.draws_14w`
      WHERE ts_utc >= TIMESTAMP_SUB(as_of, INTERVAL 26 HOUR) AND ts_utc <= as_of AND computed_at <= as_of
    ) AS f
      ON s.period = f.issue
  ) AS ways
    ON hour_utc = ways.draw_hour
)
GROUP BY hour_utc, stage_name;

CREATE OR REPLACE VIEW `{{ project }}.{{ monitor_dataset }}.e2e_latency_summary_v`
OPTIONS (description = 'Latency by hour and stage, in seconds.') AS
SELECT hour_utc, stage, n, p50, p95, p99, breach_pct
FROM `{{ project }}.{{ monitor_dataset }}.e2e_latency_summary_at`(CURRENT_TIMESTAMP());
