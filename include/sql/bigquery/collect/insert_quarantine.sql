-- Purpose: keep what the feed sent and nobody may use, with the reason, for a person to look at.
-- Grain: one row a distinct raw row.
-- Parameters: @rows (ARRAY<STRUCT>, one element a row_id), @source (STRING, where the rows came from), @seen_at
--   (TIMESTAMP), @known_since (TIMESTAMP, bounds the partitions read).
-- Repeatable: a row_id that was seen since @known_since is not inserted again.

INSERT INTO `{{ project }}.{{ source_dataset }}.draws_quarantine` (
  row_id,
  period,
  raw,
  reason,
  detail,
  source,
  first_seen_at
)
SELECT
  incoming.row_id,
  incoming.period,
  incoming.raw,
  incoming.reason,
  incoming.detail,
  @source AS source,
  @seen_at AS first_seen_at
FROM UNNEST(@rows) AS incoming
LEFT JOIN (
  SELECT DISTINCT row_id
  FROM `{{ project }}.{{ source_dataset }}.draws_quarantine`
  WHERE first_seen_at >= @known_since AND first_seen_at <= @seen_at
) AS known ON known.row_id = incoming.row_id
WHERE known.row_id IS NULL;
