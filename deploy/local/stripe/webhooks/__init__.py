"""Events and their deliveries: written with the change they report, then sent, signed and retried."""
