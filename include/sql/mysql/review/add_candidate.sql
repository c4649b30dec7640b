-- Purpose: keep a candidate with the digest of its workbook row.
-- Grain: one row a candidate.
-- Parameters: every column by name.
-- Repeatable: the batch's candidates are deleted first, in the same transaction.
INSERT INTO points_lifecycle.candidate (batch_id, point_id, class, cluster, owner, row_digest, evidence)
VALUES (%(batch_id)s, %(point_id)s, %(class)s, %(cluster)s, %(owner)s, %(row_digest)s, %(evidence)s)
