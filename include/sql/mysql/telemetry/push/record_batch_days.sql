-- Purpose: keep the days that a batch rests on, in the transaction that publishes it.
-- Grain: day: what the check before the build found; a day without telemetry has no row.
-- Parameters: batch_id, flow, window_start, window_end (both included).
-- Repeatable: the batch's days were removed in the same transaction.
INSERT INTO rsp_datagovern.evidence_batch_day (batch_id, pt_dt, minutes)
SELECT %(batch_id)s, pt_dt, minutes
FROM rsp_datagovern.evidence_day
WHERE flow = %(flow)s AND pt_dt BETWEEN %(window_start)s AND %(window_end)s
