-- Purpose: record the verdict on a window's telemetry.
-- Grain: run and flow.
-- Parameters: run_id, flow, window_start, window_end, accepted, days_present, raw_rows, rejected_rows, expansion,
--             findings (JSON).
-- Repeatable: replaces the run's own verdict.
REPLACE INTO rsp_datagovern.evidence_check
  (run_id, flow, checked_at, window_start, window_end, accepted, days_present, raw_rows, rejected_rows, expansion,
   findings)
VALUES
  (%(run_id)s, %(flow)s, UTC_TIMESTAMP(6), %(window_start)s, %(window_end)s, %(accepted)s, %(days_present)s,
   %(raw_rows)s, %(rejected_rows)s, %(expansion)s, %(findings)s)
