-- Purpose: the partitioned table that a legacy table of draws is migrated into, beside it until the cut-over.
-- Grain: one row a version of a draw.
-- Parameters: none; identifiers choose the dataset and the name of the column with the time of writing.
CREATE TABLE IF NOT EXISTS `{{ project }}.{{ dataset }}.draws_partitioned` (
  period INT64 NOT NULL,
  timestamp TIMESTAMP NOT NULL,
  numbers ARRAY<INT64>,
  sum_value INT64 NOT NULL,
  big_small STRING NOT NULL,
  odd_even STRING NOT NULL,
  created_at TIMESTAMP NOT NULL,
  updated_at TIMESTAMP,
  {{ stamp }} TIMESTAMP NOT NULL
)
PARTITION BY DATE(timestamp)
CLUSTER BY period
OPTIONS (require_partition_filter = TRUE, labels = [('pipeline', 'draws')])
