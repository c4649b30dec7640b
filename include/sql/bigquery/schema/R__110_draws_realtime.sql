-- Purpose: the synced draws of the last seven days, for dashboards and predictions.
-- Grain: one row a period.
-- Parameters: none. A view takes none, so its window moves with the clock of whoever reads it.
CREATE OR REPLACE VIEW `{{ project }}.{{ target_dataset }}.draws_realtime`
OPTIONS (description = 'Synced draws of the last seven days: one row a period.')
AS
SELECT
  period,
  timestamp,
  numbers,
  sum_value,
  big_small,
  odd_even,
  created_at,
  updated_at,
  synced_at
FROM `{{ project }}.{{ target_dataset }}.draws`
WHERE timestamp >= TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 7 DAY);
