"""Health, gauges and what autoscaling reads, collected from the database."""
