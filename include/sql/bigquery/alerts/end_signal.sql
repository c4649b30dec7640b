-- Purpose: report that what a task or a deadline reported is over.
-- Grain: one row, or none when the newest signal of the key is not a firing one, or came after @until: it is not over.
--   It comes after the one that it ends, whatever clock stamped that, and not later than BigQuery's time otherwise.
-- Parameters: @signal_id, @alert_key, @detail, @run_id (STRING), @now, @until (TIMESTAMP), @since (TIMESTAMP): older
--   signals are not read.
-- Repeatable: after the first time the newest signal is "ok", and nothing is added.

INSERT INTO `{{ project }}.{{ monitor_dataset }}.alert_signal` (
  signal_id, alert_key, signalled_at, state, priority, detail, run_id
)
SELECT
  @signal_id AS signal_id,
  newest.alert_key,
  GREATEST(
    LEAST(@now, CURRENT_TIMESTAMP()), TIMESTAMP_ADD(newest.signalled_at, INTERVAL 1 MICROSECOND)
  ) AS signalled_at,
  'ok' AS state,
  newest.priority,
  @detail AS detail,
  @run_id AS run_id
FROM (
  SELECT
    alert_key,
    signalled_at,
    priority,
    state
  FROM `{{ project }}.{{ monitor_dataset }}.alert_signal`
  WHERE signalled_at >= @since AND alert_key = @alert_key
  QUALIFY ROW_NUMBER() OVER (PARTITION BY alert_key ORDER BY signalled_at DESC) = 1
) AS newest
WHERE newest.state = 'firing' AND newest.signalled_at <= @until;
