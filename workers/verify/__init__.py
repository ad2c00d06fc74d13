"""The checker behind `fleet verify`."""
