"""The ops console: web pages that show queues, payments, dead letters and disputes, and let operators act on them."""
