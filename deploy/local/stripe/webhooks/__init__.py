"""What the outside is told: events, endpoints, signed deliveries."""
