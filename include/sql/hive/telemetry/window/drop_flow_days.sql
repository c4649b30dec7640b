-- Purpose: remove the window flow's days that are about to be built again from a table that both flows write.
-- Grain: one partition per day.
-- Parameters: as drop_days.sql.
-- Repeatable: a partition that is already gone is no error; the daily flow's partitions are never named.
ALTER TABLE cma.{{ table }} DROP IF EXISTS
{% for day in days %}
  PARTITION (flow = 'window', pt_dt = %({{ day }})s){{ "," if not loop.last }}
{% endfor %}
