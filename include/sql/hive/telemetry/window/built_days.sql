-- Purpose: the fingerprint that each finished day was built from. A day whose record does not add up (its rows were
--          emptied while it was being built) is not finished.
-- Grain: day.
-- Parameters: first, last (yyyy-MM-dd, both included).
SELECT pt_dt, raw_rows, last_commit
FROM cma.evt_day_quality
WHERE flow = 'window' AND pt_dt BETWEEN %(first)s AND %(last)s
  AND base_rows + rejected_rows = evt_rows
  AND base_eid = ts_eid
