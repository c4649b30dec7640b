-- Purpose: append the versions of draws that the source does not have yet. A draw that is new is inserted as it is; one
--   whose time or digits differ from its newest stored version is a correction and becomes a further version, dated by
--   the feed's updated_at or, where the feed gives none, by the poll that noticed it, and not before the draw's own
--   created_at, which may be the poll that first saw it. Whether it is newer is decided by draw_version, as everywhere:
--   also between two versions with one updated_at.
-- Grain: one row a version of a draw.
-- Parameters: @draws (ARRAY<STRUCT>, one element a period), @polled_at, @read_from and @read_until (TIMESTAMP, half
--   open; they hold every stored version of these periods, wherever it lies, and bound the partitions read).
-- ingested_at is never after the engine's clock: what a worker whose clock is ahead stamps would be hidden from the
--   monitoring views until then.
-- Repeatable: what equals the newest stored version, or is older than it, is not inserted. Two statements at
--   once (the poll, a bulk read, a repair) could both insert: INSERTs do not conflict. A version that is there twice is
--   one row in draws_dedup_v and in the target.

INSERT INTO `{{ project }}.{{ source_dataset }}.draws` (
  period,
  timestamp,
  numbers,
  sum_value,
  big_small,
  odd_even,
  created_at,
  updated_at,
  ingested_at
)
WITH
  incoming AS (
    SELECT
      draw.period,
      draw.timestamp,
      draw.numbers,
      ARRAY_TO_STRING(ARRAY(SELECT CAST(n AS STRING) FROM UNNEST(draw.numbers) AS n WITH OFFSET AS i ORDER BY i), '+')
        AS digits,
      draw.sum_value,
      draw.big_small,
      draw.odd_even,
      draw.created_at,
      draw.updated_at
    FROM UNNEST(@draws) AS draw
  ),
  stored AS (
    SELECT
      period,
      timestamp,
      ARRAY_TO_STRING(ARRAY(SELECT CAST(n AS STRING) FROM UNNEST(numbers) AS n WITH OFFSET AS i ORDER BY i), '+')
        AS digits,
      created_at,
      `{{ project }}.{{ source_dataset }}.draw_version`(
        updated_at, created_at, timestamp, numbers, sum_value, big_small, odd_even
      ) AS version
    FROM `{{ project }}.{{ source_dataset }}.draws`
    WHERE timestamp >= @read_from AND timestamp < @read_until
    QUALIFY ROW_NUMBER() OVER (
      PARTITION BY period
      ORDER BY
        `{{ project }}.{{ source_dataset }}.draw_version`(
          updated_at, created_at, timestamp, numbers, sum_value, big_small, odd_even
        ) DESC
    ) = 1
  )
SELECT
  incoming.period,
  incoming.timestamp,
  incoming.numbers,
  incoming.sum_value,
  incoming.big_small,
  incoming.odd_even,
  COALESCE(stored.created_at, incoming.created_at) AS created_at,
  IF(
    stored.period IS NULL,
    incoming.updated_at,
    GREATEST(COALESCE(incoming.updated_at, @polled_at), stored.created_at)
  ) AS updated_at,
  LEAST(@polled_at, CURRENT_TIMESTAMP()) AS ingested_at
FROM incoming
LEFT JOIN stored ON stored.period = incoming.period
WHERE
  stored.period IS NULL
  OR (
    (incoming.timestamp != stored.timestamp OR incoming.digits != stored.digits)
    AND `{{ project }}.{{ source_dataset }}.draw_version`(
      GREATEST(COALESCE(incoming.updated_at, @polled_at), stored.created_at),
      stored.created_at,
      incoming.timestamp,
      incoming.numbers,
      incoming.sum_value,
      incoming.big_small,
      incoming.odd_even
    ) > stored.version
  );
