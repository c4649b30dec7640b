-- Purpose: remove what was known of a window's days, before they are recorded anew in the same transaction.
-- Grain: day.
-- Parameters: flow; window_start, window_end (both included).
-- Why it can be re-run: deleting nothing is no error.
DELETE FROM rsp_datagovern.evidence_day
WHERE flow = %(flow)s AND pt_dt BETWEEN %(window_start)s AND %(window_end)s
