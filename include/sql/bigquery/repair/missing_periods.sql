-- Purpose: find every draw that is missing from the target within a range of periods: what the source has and the target
--   has not, and the gaps in the continuity of periods over both tables.
-- Grain: one row a run of missing periods: first and last period, cause, the times of its neighbours (or of the draw), and
--   whether a load of history shows it: draws that were collected long after they were drawn, a short time ago, and that
--   no sync has reached yet, or a hole beside such a draw.
-- Parameters: @period_from, @period_until (INT64) the range, half open, a period wider on both sides than what is in
--   question, so that a gap has both neighbours; @read_from, @read_until (TIMESTAMP), half open, hold every row of these
--   periods on both sides; @settled_before (TIMESTAMP): source rows collected from then on, and gaps that ended after it,
--   are still under way; @synced_from (TIMESTAMP): older draws are not, whenever they were collected: no scheduled sync
--   reaches back so far; @reach_seconds (INT64): a draw that was collected later than this is history; @loaded_from
--   (TIMESTAMP): a load that is older has ended.
-- Note: continuity is judged by period alone. Times may be in any order, so the earliest of the draws after a gap says
--   whether it has ended.
WITH periods AS (
  SELECT
    period,
    MIN(timestamp) AS drawn_at,
    LOGICAL_OR(in_target) AS in_target,
    MIN(ingested_at) AS first_ingested_at,
    COALESCE(MIN(ingested_at) >= @loaded_from, FALSE)
      AND TIMESTAMP_DIFF(MIN(ingested_at), MIN(timestamp), SECOND) > @reach_seconds
      AND NOT LOGICAL_OR(in_target) AS is_loaded
  FROM (
    SELECT period, timestamp, FALSE AS in_target, ingested_at
    FROM `{{ project }}.{{ source_dataset }}.draws`
    WHERE timestamp >= @read_from AND timestamp < @read_until AND period >= @period_from AND period < @period_until
    UNION ALL
    SELECT period, timestamp, TRUE AS in_target, NULL AS ingested_at
    FROM `{{ project }}.{{ target_dataset }}.draws`
    WHERE timestamp >= @read_from AND timestamp < @read_until AND period >= @period_from AND period < @period_until
  )
  GROUP BY period
),
neighbours AS (
  SELECT
    period,
    drawn_at,
    in_target,
    first_ingested_at,
    is_loaded,
    MIN(drawn_at) OVER (ORDER BY period ROWS BETWEEN CURRENT ROW AND 5 FOLLOWING) AS ended_at,
    LAG(period) OVER (ORDER BY period) AS previous_period,
    LAG(drawn_at) OVER (ORDER BY period) AS previous_drawn_at,
    LAG(is_loaded) OVER (ORDER BY period) AS previous_is_loaded,
    LAG(first_ingested_at) OVER (ORDER BY period) AS previous_ingested_at
  FROM periods
),
late_syncs AS (
  SELECT ARRAY_AGG(STRUCT(window_start AS begins, window_end AS ends, started_at AS started)) AS syncs
  FROM `{{ project }}.{{ monitor_dataset }}.sync_log`
  WHERE finished_at >= @loaded_from AND status = 'success'
)
SELECT
  period AS first_period,
  period AS last_period,
  'not_synced' AS cause,
  drawn_at AS gap_start,
  drawn_at AS gap_end,
  is_loaded AND NOT EXISTS (
    SELECT 1
    FROM UNNEST(late_syncs.syncs) AS s
    WHERE neighbours.drawn_at >= s.begins
      AND neighbours.drawn_at < s.ends
      AND s.started > neighbours.first_ingested_at
  ) AS loaded
FROM neighbours
CROSS JOIN late_syncs
WHERE NOT in_target AND (first_ingested_at < @settled_before OR drawn_at < @synced_from)
UNION ALL
SELECT
  previous_period + 1 AS first_period,
  period - 1 AS last_period,
  'not_collected' AS cause,
  LEAST(previous_drawn_at, drawn_at) AS gap_start,
  GREATEST(previous_drawn_at, drawn_at) AS gap_end,
  -- The younger side shows the hole.
  IF(
    COALESCE(previous_ingested_at > first_ingested_at, previous_ingested_at IS NOT NULL), previous_is_loaded, is_loaded
  ) AS loaded
FROM neighbours
WHERE period > previous_period + 1 AND ended_at < @settled_before
ORDER BY first_period
