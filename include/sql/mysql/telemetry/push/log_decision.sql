-- Purpose: record a decision of the truncate guard.
-- Grain: decision.
-- Parameters: batch_id, run_id, stage, decision, code, message, overrule_reason, started_by.
-- Repeatable: each attempt is a decision of its own.
INSERT INTO rsp_datagovern.evidence_guard_log
  (decided_at, batch_id, run_id, stage, decision, code, message, overrule_reason, started_by)
VALUES
  (UTC_TIMESTAMP(6), %(batch_id)s, %(run_id)s, %(stage)s, %(decision)s, %(code)s, %(message)s, %(overrule_reason)s,
   %(started_by)s)
