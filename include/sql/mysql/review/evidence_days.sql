-- Purpose: minutes with telemetry on each day of a window.
-- Grain: one row a day.
-- Parameters: first, last (days, both included).
SELECT pt_dt, minutes
FROM rsp_datagovern.evidence_day
WHERE flow = 'window' AND pt_dt BETWEEN %(first)s AND %(last)s
