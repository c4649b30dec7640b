-- Purpose: empty the pushed table, this flow's part only: nothing is removed that was not pushed.
-- Grain: flow.
-- Parameters: flow.
-- Why it can be re-run: an empty partition stays empty.
TRUNCATE TABLE cma.ads_evt_ops_status PARTITION (flow = %(flow)s)
