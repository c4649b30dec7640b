-- Purpose: keep the days that a batch rests on, in the transaction that publishes it.
-- Grain: day: what its build recorded; a day without telemetry has no row.
-- Parameters: batch_id, pt_dt, minutes.
-- Repeatable: the batch's days were removed in the same transaction.
INSERT INTO rsp_datagovern.evidence_batch_day (batch_id, pt_dt, minutes)
VALUES (%(batch_id)s, %(pt_dt)s, %(minutes)s)
