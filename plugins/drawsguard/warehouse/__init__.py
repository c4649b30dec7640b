"""The BigQuery warehouse: the one way to run a statement there, and the migrations of its schema."""
