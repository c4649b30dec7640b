-- Purpose: record what became of missing draws; one that is still missing keeps the time of its first detection.
-- Grain: one row a (period, detection).
-- Parameters: @periods (ARRAY<INT64>) of one cause and outcome, @gap_starts and @gap_ends (ARRAY<TIMESTAMP>) in the same
--   order; @cause, @status (STRING); @detected_at (TIMESTAMP); @asked_at, @repaired_at (TIMESTAMP or NULL); @incident_id (STRING);
--   @retained_from (TIMESTAMP) older entries have expired.
-- Repeatable: MERGE on the open entry of a period, or on the one that this incident has written.
MERGE `{{ project }}.{{ monitor_dataset }}.repair_log` AS target
USING (
  SELECT period, gap_start, gap_end
  FROM UNNEST(@periods) AS period WITH OFFSET AS period_at
  INNER JOIN UNNEST(@gap_starts) AS gap_start WITH OFFSET AS start_at ON start_at = period_at
  INNER JOIN UNNEST(@gap_ends) AS gap_end WITH OFFSET AS end_at ON end_at = period_at
) AS source
ON target.period = source.period
  AND target.detected_at >= @retained_from
  AND (target.status != 'repaired' OR target.incident_id = @incident_id)
WHEN MATCHED THEN UPDATE SET
  asked_at = COALESCE(@asked_at, target.asked_at),
  repaired_at = @repaired_at,
  repair_seconds = TIMESTAMP_DIFF(@repaired_at, target.detected_at, MILLISECOND) / 1000,
  status = @status,
  incident_id = @incident_id
WHEN NOT MATCHED THEN INSERT (
  period, cause, gap_start, gap_end, detected_at, asked_at, repaired_at, repair_seconds, status, incident_id
) VALUES (
  source.period, @cause, source.gap_start, source.gap_end, @detected_at, @asked_at, @repaired_at,
  TIMESTAMP_DIFF(@repaired_at, @detected_at, MILLISECOND) / 1000, @status, @incident_id
)
