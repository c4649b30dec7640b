-- Purpose: note a row's restore in the transaction that restores it.
-- Grain: one journal entry.
-- Parameters: journal_schema (identifier), the entry's key, restore_digest, restored_at.
-- Repeatable: only an entry that is downlined changes; the caller asserts that exactly one did.
UPDATE `{{ journal_schema }}`.points_journal
SET state = 'restored', restore_digest = %(restore_digest)s, restored_at = %(restored_at)s
WHERE batch_id = %(batch_id)s AND environment = %(environment)s AND table_name = %(table_name)s
  AND row_id = %(row_id)s AND identity = %(identity)s AND old_status = %(old_status)s AND ordinal = %(ordinal)s
  AND state = 'downlined'
