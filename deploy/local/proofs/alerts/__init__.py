"""`fleet prove alerts`: every alert provoked on the local stack, with a real Prometheus that watches it."""
