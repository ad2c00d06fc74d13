"""The outbox table: rows to publish, published events, failed runs, the schedule and the backlog.

Everything that waits in the fleet is a row here (M5); the broker only holds what a worker can take now.
"""
