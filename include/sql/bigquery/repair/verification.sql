-- Purpose: what can be proved of a repair, for the incident report: of the draws in its span of periods, those that the
--   source had, and which of them the target has.
-- Grain: one row.
-- Parameters: @period_from, @period_until (INT64) the span, half open; @read_from, @read_until (TIMESTAMP), half open, hold
--   every row of these periods; @settled_before (TIMESTAMP): a draw that was collected from then on is under way and
--   proves nothing, unless it is one of @periods (ARRAY<INT64>), the draws that were missing.
WITH source_periods AS (
  SELECT
    period,
    MIN(ingested_at) >= @settled_before AND period NOT IN UNNEST(@periods) AS under_way
  FROM `{{ project }}.{{ source_dataset }}.draws`
  WHERE timestamp >= @read_from AND timestamp < @read_until AND period >= @period_from AND period < @period_until
  GROUP BY period
),
target_rows AS (
  SELECT period, timestamp
  FROM `{{ project }}.{{ target_dataset }}.draws`
  WHERE timestamp >= @read_from AND timestamp < @read_until AND period >= @period_from AND period < @period_until
),
compared AS (
  SELECT
    s.period AS source_period,
    t.period AS target_period,
    COALESCE(s.under_way, FALSE) AS under_way,
    t.target_rows,
    t.newest_draw
  FROM source_periods AS s
  FULL OUTER JOIN (
    SELECT period, COUNT(*) AS target_rows, MAX(timestamp) AS newest_draw
    FROM target_rows
    GROUP BY period
  ) AS t
    ON s.period = t.period
)
SELECT
  COUNTIF(source_period IS NOT NULL AND NOT under_way) AS source_draws,
  COUNTIF(source_period IS NOT NULL AND target_period IS NOT NULL AND NOT under_way) AS target_draws,
  COALESCE(SUM(target_rows - 1), 0) AS duplicates,
  @period_until - @period_from - COUNTIF(target_period IS NOT NULL OR under_way) AS missing_periods,
  MAX(newest_draw) AS newest_draw
FROM compared
