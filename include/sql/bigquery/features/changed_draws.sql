-- Purpose: find the draws whose row in draws_14w is missing, there twice, or computed from other values, and the rows
--   whose draw is gone.
-- Grain: one row a run of such issues, each at most @horizon after the one before it; a run is cut where a new block of
--   @block issues begins.
-- Parameters: @first_issue, @last_issue (INT64) the issues in question, both included; @draws_from, @draws_to,
--   @features_from, @features_to (TIMESTAMP) the times to read, half open; @every (BOOL) count each draw as changed;
--   @horizon, @block (INT64).
-- Note: a row that lies outside the times is missing here. What is read by times alone is therefore a suspicion; what is
--   read with the bounds of its issues is a fact.
WITH draws AS (
  SELECT period, timestamp, TO_JSON_STRING(numbers) AS digits, sum_value
  FROM `{{ project }}.{{ target_dataset }}.draws`
  WHERE timestamp >= @draws_from AND timestamp < @draws_to
    AND period BETWEEN @first_issue AND @last_issue
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY period
    ORDER BY
      `{{ project }}.{{ source_dataset }}.draw_version`(
        updated_at, created_at, timestamp, numbers, sum_value, big_small, odd_even
      ) DESC
  ) = 1
),
stored AS (
  SELECT
    issue,
    COUNT(*) AS copies,
    MIN(ts_utc) AS ts_utc,
    MIN(FORMAT('[%d,%d,%d]', a, b, c)) AS digits,
    MIN(sum) AS sum
  FROM `{{ project }}.{{ target_dataset }}.draws_14w`
  WHERE ts_utc >= @features_from AND ts_utc < @features_to
    AND issue BETWEEN @first_issue AND @last_issue
  GROUP BY issue
),
changed AS (
  SELECT COALESCE(draws.period, stored.issue) AS issue
  FROM draws
  FULL JOIN stored ON stored.issue = draws.period
  WHERE @every
    OR draws.period IS NULL
    OR stored.issue IS NULL
    OR stored.copies > 1
    OR stored.ts_utc != draws.timestamp
    OR stored.digits != draws.digits
    OR stored.sum != draws.sum_value
),
neighbours AS (
  SELECT issue, IF(issue - LAG(issue) OVER (ORDER BY issue) <= @horizon, 0, 1) AS begins
  FROM changed
),
numbered AS (
  SELECT issue, SUM(begins) OVER (ORDER BY issue ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS run
  FROM neighbours
)
SELECT
  MIN(issue) AS first_issue,
  MAX(issue) AS last_issue,
  COUNT(*) AS changed
FROM numbered
GROUP BY run, DIV(issue, @block)
ORDER BY first_issue
