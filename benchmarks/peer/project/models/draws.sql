{{ config(materialized='incremental', unique_key='period', incremental_strategy='delete+insert') }}
SELECT period, drawn_at, numbers, sum_value, updated_at
FROM source_draws
{% if is_incremental() %}
WHERE updated_at > (SELECT MAX(updated_at) FROM {{ this }})
{% endif %}
