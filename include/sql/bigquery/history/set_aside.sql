-- Purpose: set aside the rows of a legacy table that the partitioned one cannot take, each with its fault, for a person.
--   They are kept as text, so that a row without a period, a time or a stamp is kept, too.
-- Grain: one row a distinct raw row.
-- Parameters: @source (STRING, names the legacy table), @seen_at (TIMESTAMP).
-- Repeatable: MERGE on row_id, the hash of the row and its table; a row that was set aside before stays as it is.
MERGE `{{ project }}.{{ source_dataset }}.draws_quarantine` AS target
USING (
  SELECT
    TO_HEX(SHA256(CONCAT(@source, ' ', raw))) AS row_id,
    period,
    raw,
    reason,
    COUNT(*) AS copies
  FROM (
    SELECT
      period,
      TO_JSON_STRING(
        STRUCT(
          period AS period, timestamp AS timestamp, numbers AS numbers, sum_value AS sum_value,
          big_small AS big_small, odd_even AS odd_even, created_at AS created_at, updated_at AS updated_at
        )
      ) AS raw,
      `{{ project }}.{{ source_dataset }}.draw_fault`(
        period, timestamp, numbers, sum_value, big_small, odd_even, created_at
      ) AS reason
    FROM `{{ project }}.{{ dataset }}.{{ unpartitioned }}`
  )
  WHERE reason IS NOT NULL
  GROUP BY period, raw, reason
) AS source
ON target.row_id = source.row_id
WHEN NOT MATCHED THEN INSERT (row_id, period, raw, reason, detail, source, first_seen_at)
VALUES (
  source.row_id, source.period, source.raw, source.reason,
  FORMAT('%d such rows in the table before its cut-over.', source.copies), @source, @seen_at
)
