-- Purpose: minutes with telemetry on each day that an evidence batch was built from.
-- Grain: one row a day.
-- Parameters: evidence_batch.
SELECT pt_dt, minutes
FROM rsp_datagovern.evidence_batch_day
WHERE batch_id = %(evidence_batch)s
