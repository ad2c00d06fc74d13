"""Queues: state, and republishing of published events."""
