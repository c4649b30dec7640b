-- Purpose: when the last complete reconcile began; versions collected since then have not been compared.
-- Grain: one row; NULL when there was none.
-- Parameters: @dag_id, @task_id (STRING); @retained_from (TIMESTAMP) older entries have expired.
SELECT MAX(started_at) AS started_at
FROM `{{ project }}.{{ monitor_dataset }}.sync_log`
WHERE dag_id = @dag_id AND task_id = @task_id AND status = 'success' AND finished_at >= @retained_from
