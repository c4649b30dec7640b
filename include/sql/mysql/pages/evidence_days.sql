-- Purpose: what each day of the usage evidence was built from.
-- Grain: one row a day.
-- Parameters: first, last (days, both included).
SELECT pt_dt, minutes, metrics, raw_rows, rejected_rows
FROM rsp_datagovern.evidence_day
WHERE flow = 'window' AND pt_dt BETWEEN %(first)s AND %(last)s
