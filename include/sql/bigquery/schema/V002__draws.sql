-- Purpose: the draw tables. Source draws are append-only versions; the target holds the newest version of each draw;
--   quarantine holds what the feed sent and nobody may use. Draws never expire: no partition expiration here.
-- Grain: source draws: one row a version of a draw; quarantine: one row a distinct raw row; target draws: one row a draw.
CREATE TABLE IF NOT EXISTS `{{ project }}.{{ source_dataset }}.draws` (
  period INT64 NOT NULL OPTIONS (description = 'Number of the draw; consecutive.'),
  timestamp TIMESTAMP NOT NULL OPTIONS (description = 'Time of the draw.'),
  numbers ARRAY<INT64> OPTIONS (description = 'The three digits, 0 to 9, in order.'),
  sum_value INT64 NOT NULL OPTIONS (description = 'Sum of the digits, 0 to 27.'),
  big_small STRING NOT NULL OPTIONS (description = 'big when sum_value >= 14, else small.'),
  odd_even STRING NOT NULL OPTIONS (description = 'odd or even, of sum_value.'),
  created_at TIMESTAMP NOT NULL OPTIONS (description = 'When this draw was first published.'),
  updated_at TIMESTAMP OPTIONS (description = 'When this version was published; NULL for a draw never corrected.'),
  ingested_at TIMESTAMP NOT NULL OPTIONS (description = 'When the collector wrote this row.')
)
PARTITION BY DATE(timestamp)
CLUSTER BY period
OPTIONS (
  require_partition_filter = TRUE,
  description = 'Every version of every draw, as collected. Read the newest through draws_dedup_v.',
  labels = [('pipeline', 'draws')]
);

CREATE TABLE IF NOT EXISTS `{{ project }}.{{ source_dataset }}.draws_quarantine` (
  row_id STRING NOT NULL OPTIONS (description = 'SHA-256 of raw, in hexadecimal: the idempotency key.'),
  period INT64 OPTIONS (description = 'Number of the draw, where the row has a readable one.'),
  raw STRING NOT NULL OPTIONS (description = 'The row as the feed sent it (JSON).'),
  reason STRING NOT NULL OPTIONS (description = 'Short name of the rule that it breaks.'),
  detail STRING OPTIONS (description = 'Expected and actual value.'),
  source STRING NOT NULL OPTIONS (description = 'Where the row came from, e.g. the endpoint of the feed.'),
  first_seen_at TIMESTAMP NOT NULL OPTIONS (description = 'When it was first seen.')
)
PARTITION BY DATE(first_seen_at)
CLUSTER BY row_id
OPTIONS (
  description = 'Rows of the feed that failed validation, with the reason; never synced.',
  labels = [('pipeline', 'draws')]
);

CREATE TABLE IF NOT EXISTS `{{ project }}.{{ target_dataset }}.draws` (
  period INT64 NOT NULL OPTIONS (description = 'Number of the draw; unique.'),
  timestamp TIMESTAMP NOT NULL OPTIONS (description = 'Time of the draw.'),
  numbers ARRAY<INT64> OPTIONS (description = 'The three digits, 0 to 9, in order.'),
  sum_value INT64 NOT NULL OPTIONS (description = 'Sum of the digits, 0 to 27.'),
  big_small STRING NOT NULL OPTIONS (description = 'big when sum_value >= 14, else small.'),
  odd_even STRING NOT NULL OPTIONS (description = 'odd or even, of sum_value.'),
  created_at TIMESTAMP NOT NULL OPTIONS (description = 'When this draw was first published.'),
  updated_at TIMESTAMP OPTIONS (description = 'When this version was published; NULL for a draw never corrected.'),
  synced_at TIMESTAMP NOT NULL OPTIONS (description = 'When the sync wrote this version.')
)
PARTITION BY DATE(timestamp)
CLUSTER BY period
OPTIONS (
  require_partition_filter = TRUE,
  description = 'The newest version of every draw: one row a period.',
  labels = [('pipeline', 'draws')]
);
