-- Purpose: note a row's old status in the transaction that changes it.
-- Grain: one row a changed row.
-- Parameters: journal_schema (identifier), and every column by name.
-- Repeatable: it cannot, and must not: the primary key refuses a second entry, which rolls the chunk back.
INSERT INTO `{{ journal_schema }}`.points_journal (
  batch_id, environment, table_name, row_id, identity, old_status, ordinal,
  kind, cluster, last_modify_time, state, digest, changed_at
) VALUES (
  %(batch_id)s, %(environment)s, %(table_name)s, %(row_id)s, %(identity)s, %(old_status)s, %(ordinal)s,
  %(kind)s, %(cluster)s, %(last_modify_time)s, 'downlined', %(digest)s, %(changed_at)s
)
