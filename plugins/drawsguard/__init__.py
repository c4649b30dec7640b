"""The domain of both pipelines in plain Python: nothing here imports Airflow, so all of it is tested alone."""
