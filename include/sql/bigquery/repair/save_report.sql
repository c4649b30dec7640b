-- Purpose: keep the report of an incident.
-- Grain: one row an incident.
-- Parameters: the columns of incident_reports; @retained_from (TIMESTAMP) older reports have expired.
-- Repeatable: MERGE on incident_id; the report of a repeated try replaces the first.
MERGE `{{ project }}.{{ monitor_dataset }}.incident_reports` AS target
USING (
  SELECT
    @incident_id AS incident_id, @created_at AS created_at, @repaired AS repaired, @nobody_has AS nobody_has,
    @report AS report
) AS source
ON target.incident_id = source.incident_id AND target.created_at >= @retained_from
WHEN MATCHED THEN UPDATE SET
  created_at = source.created_at,
  repaired = source.repaired,
  nobody_has = source.nobody_has,
  report = source.report
WHEN NOT MATCHED THEN INSERT (incident_id, created_at, repaired, nobody_has, report)
VALUES (source.incident_id, source.created_at, source.repaired, source.nobody_has, source.report)
