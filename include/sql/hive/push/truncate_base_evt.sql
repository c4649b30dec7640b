-- Purpose: empty the filtered telemetry that the pushed table came from, this flow's part only.
-- Grain: flow.
-- Parameters: flow.
-- Why it can be re-run: an empty partition stays empty. base_evt_ts keeps every day, so nothing is lost.
TRUNCATE TABLE cma.base_evt PARTITION (flow = %(flow)s)
