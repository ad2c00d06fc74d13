"""The book: every SQL statement of the fleet, and the rules that the database holds itself."""
