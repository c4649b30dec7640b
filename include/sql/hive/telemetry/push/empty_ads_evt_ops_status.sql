-- Purpose: empty the pushed table, this flow's part only: nothing is removed that was not pushed. Hive before 4 refuses to
--          TRUNCATE an external table, whatever its properties; every engine drops a partition.
-- Grain: flow.
-- Parameters: flow.
-- Repeatable: a partition that is already gone is no error.
ALTER TABLE cma.ads_evt_ops_status DROP IF EXISTS PARTITION (flow = %(flow)s)
