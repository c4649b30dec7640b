-- Purpose: how many rows of a legacy table cannot be taken over, by fault, whether in a month or in none.
-- Grain: one row a fault.
SELECT
  reason,
  COUNT(*) AS row_count
FROM (
  SELECT
    `{{ project }}.{{ source_dataset }}.draw_fault`(
      period, timestamp, numbers, sum_value, big_small, odd_even, created_at
    ) AS reason
  FROM `{{ project }}.{{ dataset }}.{{ unpartitioned }}`
)
WHERE reason IS NOT NULL
GROUP BY reason
ORDER BY reason
