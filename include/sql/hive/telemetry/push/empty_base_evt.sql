-- Purpose: empty the filtered telemetry that the pushed table came from, this flow's part only.
-- Grain: flow: all days of it.
-- Parameters: flow.
-- Repeatable: partitions that are already gone are no error. base_evt_ts keeps every day, so nothing is lost.
ALTER TABLE cma.base_evt DROP IF EXISTS PARTITION (flow = %(flow)s)
