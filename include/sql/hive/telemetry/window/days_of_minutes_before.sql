-- Purpose: the days before a day that base_evt_ts still holds. Usually it reads the one day that has just expired.
-- Grain: day.
-- Parameters: first_kept (yyyy-MM-dd).
SELECT DISTINCT pt_dt
FROM cma.base_evt_ts
WHERE pt_dt < %(first_kept)s
