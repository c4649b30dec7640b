"""The BigQuery warehouse: versioned, repeatable migrations of its schema."""
