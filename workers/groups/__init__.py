"""Group payments."""
