-- Purpose: find every draw that is missing from the target: what the source has and the target has not, and the gaps
--   in the continuity of periods over both tables.
-- Grain: one row a run of missing periods: first and last period, cause, the times between which they were drawn.
-- Parameters: @search_from, @search_to (TIMESTAMP) draw times to search, half open, a little wider than what is asked
--   for, so that a gap at its edge has both neighbours; @settled_before (TIMESTAMP): source rows collected from then
--   on, and gaps that ended after it, are still under way; @synced_from (TIMESTAMP): older draws are not, whenever
--   they were collected: no scheduled sync reaches back so far.
WITH periods AS (
  SELECT
    period,
    MIN(timestamp) AS drawn_at,
    LOGICAL_OR(in_target) AS in_target,
    MIN(ingested_at) AS first_ingested_at
  FROM (
    SELECT period, timestamp, FALSE AS in_target, ingested_at
    FROM `{{ project }}.{{ source_dataset }}.draws`
    WHERE timestamp >= @search_from AND timestamp < @search_to
    UNION ALL
    SELECT period, timestamp, TRUE AS in_target, NULL AS ingested_at
    FROM `{{ project }}.{{ target_dataset }}.draws`
    WHERE timestamp >= @search_from AND timestamp < @search_to
  )
  GROUP BY period
),
neighbours AS (
  SELECT
    period,
    drawn_at,
    in_target,
    first_ingested_at,
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
  previous_drawn_at AS gap_start,
  drawn_at AS gap_end
FROM neighbours
WHERE period > previous_period + 1 AND drawn_at < @settled_before
ORDER BY first_period
