-- Purpose: how far apart in time any version of these periods lies, on either side. A correction may move a draw into
--   another partition: a MERGE bounded by the window alone would not see the old row and insert the draw again.
-- Grain: one row; NULLs when there is no such period.
-- Parameters: period_from, period_until INT64 and earliest, latest TIMESTAMP (both half-open). A sync looks a fixed reach
--   around its window, so its cost does not grow with the table; a repair looks at the whole history.
SELECT
  MIN(timestamp) AS first_time,
  MAX(timestamp) AS last_time
FROM (
  SELECT timestamp
  FROM `{{ project }}.{{ source_dataset }}.draws`
  WHERE timestamp >= @earliest AND timestamp < @latest AND period >= @period_from AND period < @period_until
  UNION ALL
  SELECT timestamp
  FROM `{{ project }}.{{ target_dataset }}.draws`
  WHERE timestamp >= @earliest AND timestamp < @latest AND period >= @period_from AND period < @period_until
);
