"""Spark's start-up: Java, jars, settings, the session, and what spark-submit is given."""
