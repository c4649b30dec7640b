"""This project's deadline references; registered with Airflow by ``plugins/deadline_plugin.py``."""
