-- Purpose: find every draw that is missing from the target within a range of periods: what the source has and the target
--   has not, and the gaps in the continuity of periods over both tables.
-- Grain: one row a run of missing periods: first and last period, cause, the times of its neighbours (or of the draw).
-- Parameters: @period_from, @period_until (INT64) the range, half open, a period wider on both sides than what is in
--   question, so that a gap has both neighbours; @read_from, @read_until (TIMESTAMP), half open, hold every row of these
--   periods on both sides; @settled_before (TIMESTAMP): source rows collected from then on, and gaps that ended after it,
--   are still under way; @synced_from (TIMESTAMP): older draws are not, whenever they were collected: no scheduled sync
--   reaches back so far.
-- Note: continuity is judged by period alone. Times may be in any order, so the earliest of the draws after a gap says
--   whether it has ended.
WITH periods AS (
  SELECT
    period,
    MIN(timestamp) AS drawn_at,
    LOGICAL_OR(in_target) AS in_target,
    MIN(ingested_at) AS first_ingested_at
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
    MIN(drawn_at) OVER (ORDER BY period ROWS BETWEEN CURRENT ROW AND 5 FOLLOWING) AS ended_at,
    LAG(period) OVER (ORDER BY period) AS previous_period,
    LAG(drawn_at) OVER (ORDER BY period) AS previous_drawn_at
  FROM periods
)
SELECT
  period AS first_period,
  period AS last_period,
  'not_synced' AS cause,
  drawn_at AS gap_start,
  drawn_at AS gap_end
FROM neighbours
WHERE NOT in_target AND (first_ingested_at < @settled_before OR drawn_at < @synced_from)
UNION ALL
SELECT
  previous_period + 1 AS first_period,
  period - 1 AS last_period,
  'not_collected' AS cause,
  LEAST(previous_drawn_at, drawn_at) AS gap_start,
  GREATEST(previous_drawn_at, drawn_at) AS gap_end
FROM neighbours
WHERE period > previous_period + 1 AND ended_at < @settled_before
ORDER BY first_period
