"""The outbox table: rows to publish, published events, failed runs, the schedule and the backlog."""
