"""What metrics, health and the charts read."""
