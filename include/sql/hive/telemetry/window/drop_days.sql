-- Purpose: remove the days that are about to be built again from a table. INSERT OVERWRITE with a dynamic partition
--          replaces only partitions that receive rows, so a day whose rows vanished would otherwise keep its old ones.
-- Grain: one partition per day.
-- Parameters: table, days (names of the bound parameters, one per day: day_0, day_1 ...) as identifiers;
--             their values as yyyy-MM-dd.
-- Repeatable: a partition that is already gone is no error.
ALTER TABLE cma.{{ table }} DROP IF EXISTS
{% for day in days %}
  PARTITION (pt_dt = %({{ day }})s){{ "," if not loop.last }}
{% endfor %}
