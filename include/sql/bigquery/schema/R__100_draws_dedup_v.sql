-- Purpose: the newest version of every collected draw (corrections win), for readers of the source.
--   The sync deduplicates within its own bounds instead: a range on this view cannot reach the table below, because a
--   filter on timestamp does not commute with picking the newest version of a period.
-- Grain: one row a period.
-- Parameters: none. The constant lower bound is older than any draw: it satisfies require_partition_filter.
CREATE OR REPLACE VIEW `{{ project }}.{{ source_dataset }}.draws_dedup_v`
OPTIONS (description = 'Newest version of every draw: one row a period.')
AS
SELECT
  period,
  timestamp,
  numbers,
  sum_value,
  big_small,
  odd_even,
  created_at,
  updated_at,
  ingested_at
FROM `{{ project }}.{{ source_dataset }}.draws`
WHERE timestamp >= TIMESTAMP '2000-01-01 00:00:00+00:00'
QUALIFY ROW_NUMBER() OVER (
  PARTITION BY period
  ORDER BY
    `{{ project }}.{{ source_dataset }}.draw_version`(
      updated_at, created_at, timestamp, numbers, sum_value, big_small, odd_even
    ) DESC,
    ingested_at
) = 1;
