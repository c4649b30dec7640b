"""Mails that Airflow sends by itself: importable on workers, DAG processor and triggerer."""
