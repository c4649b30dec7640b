-- Purpose: remove what was recorded for a window's days, before they are recorded again in the same transaction.
-- Grain: day.
-- Parameters: flow; window_start, window_end (both included).
-- Repeatable: deleting nothing is no error.
DELETE FROM rsp_datagovern.evidence_day
WHERE flow = %(flow)s AND pt_dt BETWEEN %(window_start)s AND %(window_end)s
