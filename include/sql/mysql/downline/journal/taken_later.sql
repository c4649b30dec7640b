-- Purpose: the rows of a batch that another batch took out of service after it, and did not restore.
-- Grain: one row a row and other batch, the newest last.
-- Parameters: journal_schema (identifier), batch_id, environment.
SELECT other.kind, other.table_name, other.row_id, other.batch_id
FROM `{{ journal_schema }}`.points_journal AS mine
INNER JOIN `{{ journal_schema }}`.points_journal AS other
  ON other.environment = mine.environment AND other.kind = mine.kind AND other.table_name = mine.table_name
    AND other.row_id = mine.row_id AND other.batch_id <> mine.batch_id AND other.changed_at > mine.changed_at
WHERE mine.batch_id = %(batch_id)s AND mine.environment = %(environment)s AND mine.state = 'downlined'
  AND other.state = 'downlined'
GROUP BY other.kind, other.table_name, other.row_id, other.batch_id
ORDER BY MAX(other.changed_at)
