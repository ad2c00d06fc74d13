"""How any actor runs: decorator, retries and dead letters, unknown outcomes, pauses, load, health, settings."""
