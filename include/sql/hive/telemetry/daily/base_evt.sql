-- Purpose: parse one day of the JSON feed into base_evt, and reject what cannot be counted (evt_rejected) by the same
--          rules as the window flow. A line that was delivered twice counts once, with its largest count. Engines read the
--          first object of a line and ignore the rest; in brackets, the line has to be an array of one object as a whole.
-- A pattern's $ also matches before a last line end, in every engine: hence the second look at each text.
-- Grain: base_evt: minute, metric, instance, day. evt_rejected: distinct rejected record, day.
-- Parameters: pt_year, pt_month, pt_day; pt_dt (the same day, yyyy-MM-dd); pattern (of oper_type); max_count.
-- Repeatable: replaces this day's partitions of the daily flow, also when nothing is left of them.
FROM (
  SELECT
    reason,
    CASE WHEN reason IS NULL THEN concat(substr(ts, 1, 16), ':00') ELSE ts END AS oper_ts,
    metric,
    `instance`,
    CASE
      WHEN reason IN ('glued_json', 'broken_json', 'empty_json') THEN line
      WHEN reason IS NOT NULL THEN `value`
    END AS rejected_value,
    MAX(CASE WHEN reason IS NULL THEN CAST(`value` AS BIGINT) END) AS eid,
    COUNT(*) AS copies
  FROM (
    SELECT
      line,
      ts,
      metric,
      `instance`,
      `value`,
      CASE
        WHEN (objects IS NULL OR next_object IS NOT NULL) AND line RLIKE '^[{].*[}][ ,]*[{]' THEN 'glued_json'
        WHEN objects IS NULL OR next_object IS NOT NULL OR substr(line, 1, 1) <> '{' THEN 'broken_json'
        WHEN line RLIKE '^[{][ ]*[}]' THEN 'empty_json'
        WHEN metric IS NULL OR metric RLIKE '[^!-~]' OR NOT metric RLIKE %(pattern)s THEN 'unknown_oper_type'
        WHEN ts IS NULL OR length(ts) <> 19 OR NOT ts RLIKE '^[0-9]{4}-[0-9]{2}-[0-9]{2} ([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]$'
          THEN 'bad_time'
        WHEN substr(ts, 1, 10) <> %(pt_dt)s THEN 'time_outside_day'
        WHEN `value` IS NULL OR `value` RLIKE '[^-0-9]' OR NOT `value` RLIKE '^-?[0-9]{1,18}$' THEN 'bad_count'
        WHEN CAST(`value` AS BIGINT) < 0 THEN 'negative_count'
        WHEN CAST(`value` AS BIGINT) > %(max_count)s THEN 'absurd_count'
      END AS reason
    FROM (
      SELECT
        line,
        get_json_object(concat('[', line, ']'), '$') AS objects,
        get_json_object(concat('[', line, ']'), '$[1]') AS next_object,
        get_json_object(line, '$.ts') AS ts,
        get_json_object(line, '$.metric') AS metric,
        get_json_object(line, '$.instance') AS `instance`,
        get_json_object(line, '$.value') AS `value`
      FROM cma.src_evt
      WHERE pt_year = %(pt_year)s AND pt_month = %(pt_month)s AND pt_day = %(pt_day)s
    ) parsed
  ) judged
  GROUP BY
    reason,
    CASE WHEN reason IS NULL THEN concat(substr(ts, 1, 16), ':00') ELSE ts END,
    metric,
    `instance`,
    CASE
      WHEN reason IN ('glued_json', 'broken_json', 'empty_json') THEN line
      WHEN reason IS NOT NULL THEN `value`
    END
) grouped
INSERT OVERWRITE TABLE cma.base_evt PARTITION (flow = 'daily', pt_dt = %(pt_dt)s)
  SELECT oper_ts, metric, eid
  WHERE reason IS NULL
INSERT OVERWRITE TABLE cma.evt_rejected PARTITION (flow = 'daily', pt_dt = %(pt_dt)s)
  SELECT
    COALESCE(reason, 'duplicate_upload'),
    oper_ts,
    metric,
    `instance`,
    COALESCE(rejected_value, CAST(eid AS STRING)),
    CASE WHEN reason IS NULL THEN copies - 1 ELSE copies END
  WHERE reason IS NOT NULL OR copies > 1;
