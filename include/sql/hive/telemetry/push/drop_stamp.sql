-- Purpose: take the stamp off before ads_evt_ops_status is built: until the build has come to its end, nothing is pushed.
-- Grain: flow.
-- Parameters: flow.
-- Repeatable: a partition that is already gone is no error.
ALTER TABLE cma.ads_evt_ops_build DROP IF EXISTS PARTITION (flow = %(flow)s)
