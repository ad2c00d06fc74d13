"""One folder per resource of Stripe: what its operations take and answer, and what becomes of it over time."""
