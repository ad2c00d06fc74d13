"""Booking (what is posted and appended), sealing, and the journals of conversion and fee."""
