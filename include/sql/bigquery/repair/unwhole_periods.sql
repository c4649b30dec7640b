-- Purpose: find the ranges of periods in which the target lacks a draw or holds one twice, over the whole history. It
--   reads the hours that BigQuery keeps, not the draws, so that it can be asked every few minutes.
-- Grain: one row a range that must be compared draw by draw.
-- Parameters: @known (ARRAY<INT64>) missing periods that need not be found again; @earliest (TIMESTAMP) older than any
--   draw.
-- Note: hours whose periods overlap are judged together, since a draw that lies in another hour than its neighbours, or
--   in two, makes their ranges overlap. Such a group is whole when it has as many rows as periods and the XOR of their
--   fingerprints is that of the whole range: equal counts leave a hole beside a double, but then the XOR differs, since
--   a row that is there twice cancels itself out. Between two groups every period is missing, and so is what the source
--   holds before the first and after the last of the target. BigQuery generates a million elements at most: a longer
--   group, which one draw dated years early makes, is compared as if it were not whole.
WITH hours AS (
  SELECT
    hour_utc,
    draws,
    period_fingerprint,
    first_period,
    last_period,
    MAX(last_period) OVER (
      ORDER BY first_period, last_period, hour_utc ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS reached
  FROM `{{ project }}.{{ target_dataset }}.draws_hourly_mv`
  WHERE hour_utc >= @earliest
),
numbered AS (
  SELECT
    draws,
    period_fingerprint,
    first_period,
    last_period,
    SUM(IF(reached IS NULL OR first_period > reached, 1, 0)) OVER (
      ORDER BY first_period, last_period, hour_utc ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS place
  FROM hours
),
groups_of_hours AS (
  SELECT
    place,
    SUM(draws) AS draws,
    BIT_XOR(period_fingerprint) AS fingerprint,
    MIN(first_period) AS first_period,
    MAX(last_period) AS last_period
  FROM numbered
  GROUP BY place
),
held AS (
  SELECT MIN(first_period) AS first_period, MAX(last_period) AS last_period
  FROM groups_of_hours
),
collected AS (
  SELECT MIN(first_period) AS first_period, MAX(last_period) AS last_period
  FROM `{{ project }}.{{ source_dataset }}.draw_versions_hourly_mv`
  WHERE hour_utc >= @earliest
),
candidates AS (
  SELECT first_period, last_period, draws, fingerprint
  FROM groups_of_hours
  UNION ALL
  SELECT previous_last + 1 AS first_period, first_period - 1 AS last_period, 0 AS draws, 0 AS fingerprint
  FROM (
    SELECT first_period, LAG(last_period) OVER (ORDER BY place) AS previous_last
    FROM groups_of_hours
  )
  WHERE first_period > previous_last + 1
  UNION ALL
  SELECT collected.first_period, COALESCE(held.first_period - 1, collected.last_period), 0, 0
  FROM collected
  CROSS JOIN held
  WHERE collected.first_period <= COALESCE(held.first_period - 1, collected.last_period)
  UNION ALL
  SELECT held.last_period + 1, collected.last_period, 0, 0
  FROM collected
  CROSS JOIN held
  WHERE collected.last_period > held.last_period
),
absent AS (
  SELECT DISTINCT period
  FROM UNNEST(@known) AS period
),
known AS (
  SELECT candidates.first_period, COUNT(*) AS periods
  FROM absent
  INNER JOIN candidates ON absent.period BETWEEN candidates.first_period AND candidates.last_period
  GROUP BY candidates.first_period
),
unequal AS (
  SELECT
    candidates.first_period,
    candidates.last_period,
    candidates.fingerprint,
    candidates.draws + COALESCE(known.periods, 0) = candidates.last_period - candidates.first_period + 1
      AND candidates.last_period - candidates.first_period < 1000000 AS complete
  FROM candidates
  LEFT JOIN known ON known.first_period = candidates.first_period
),
expected AS (
  SELECT unequal.first_period, BIT_XOR(FARM_FINGERPRINT(CAST(wanted AS STRING))) AS fingerprint
  FROM unequal
  CROSS JOIN UNNEST(GENERATE_ARRAY(unequal.first_period, IF(unequal.complete, unequal.last_period, NULL))) AS wanted
  LEFT JOIN absent ON absent.period = wanted
  WHERE absent.period IS NULL
  GROUP BY unequal.first_period
)
SELECT unequal.first_period, unequal.last_period
FROM unequal
LEFT JOIN expected ON expected.first_period = unequal.first_period
WHERE NOT unequal.complete OR COALESCE(expected.fingerprint, 0) != unequal.fingerprint
ORDER BY unequal.first_period
