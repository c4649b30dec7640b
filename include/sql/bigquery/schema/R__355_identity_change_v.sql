-- Purpose: who changed accounts, grants, services and jobs: the audit log of admin activity, for the weekly audit and for
--   the question "what was changed before the identity broke".
-- Grain: one row a logged change of the last seven days; a refused one has a code other than 0.
-- Parameters: the function takes the time of judgement; the view judges now.
CREATE OR REPLACE TABLE FUNCTION `{{ project }}.{{ monitor_dataset }}.identity_change_at`(as_of TIMESTAMP) AS
SELECT
  timestamp AS changed_at,
  protopayload_auditlog.authenticationInfo.principalEmail AS principal,
  protopayload_auditlog.serviceName AS api,
  protopayload_auditlog.methodName AS method,
  protopayload_auditlog.resourceName AS resource_name,
  COALESCE(protopayload_auditlog.status.code, 0) AS code
FROM `{{ project }}.{{ monitor_dataset }}.cloudaudit_googleapis_com_activity`
WHERE
  timestamp >= TIMESTAMP_SUB(as_of, INTERVAL 7 DAY)
  AND timestamp <= as_of
  AND protopayload_auditlog.serviceName IN (
    'iam.googleapis.com', 'run.googleapis.com', 'cloudscheduler.googleapis.com', 'cloudresourcemanager.googleapis.com'
  );

CREATE OR REPLACE VIEW `{{ project }}.{{ monitor_dataset }}.identity_change_v`
OPTIONS (description = 'Changes of accounts, grants, services and jobs in the last seven days.') AS
SELECT changed_at, principal, api, method, resource_name, code
FROM `{{ project }}.{{ monitor_dataset }}.identity_change_at`(CURRENT_TIMESTAMP());
