-- Purpose: make one row again of draws that the target holds more than once: the newest version of the source replaces
--   all their rows. One statement, so that nobody ever sees such a draw missing.
-- Grain: one row a period.
-- Parameters: periods (ARRAY<INT64>) that the source has; read_from, read_until TIMESTAMP and period_from, period_until
--   INT64 (half-open) hold every version of them on both sides; synced_at TIMESTAMP as for merge_draws.
-- Repeatable: it ends in the same rows. No row matches, so each of these draws is deleted and inserted. ON FALSE stands
--   alone, as BigQuery documents it; the partitions are bounded where the target is read, in NOT MATCHED BY SOURCE.

MERGE `{{ project }}.{{ target_dataset }}.draws` AS target
USING (
  SELECT
    period,
    timestamp,
    numbers,
    sum_value,
    big_small,
    odd_even,
    created_at,
    updated_at
  FROM `{{ project }}.{{ source_dataset }}.draws`
  WHERE timestamp >= @read_from AND timestamp < @read_until
    AND period >= @period_from AND period < @period_until
    AND period IN UNNEST(@periods)
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY period
    ORDER BY
      `{{ project }}.{{ source_dataset }}.draw_version`(
        updated_at, created_at, timestamp, numbers, sum_value, big_small, odd_even
      ) DESC
  ) = 1
) AS source
ON FALSE
WHEN NOT MATCHED BY TARGET THEN INSERT (
  period, timestamp, numbers, sum_value, big_small, odd_even, created_at, updated_at, synced_at
)
VALUES (
  source.period,
  source.timestamp,
  source.numbers,
  source.sum_value,
  source.big_small,
  source.odd_even,
  source.created_at,
  source.updated_at,
  LEAST(@synced_at, CURRENT_TIMESTAMP())
)
WHEN NOT MATCHED BY SOURCE
  AND target.timestamp >= @read_from
  AND target.timestamp < @read_until
  AND target.period IN UNNEST(@periods)
THEN DELETE;
