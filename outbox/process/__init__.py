"""What every process has: logs, traces, metrics, heartbeat, HTTP server, shutdown."""
