"""Deadline references of our own; registered with Airflow by ``plugins/deadline_plugin.py``."""
