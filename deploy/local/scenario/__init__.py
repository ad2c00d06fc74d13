"""One kit for all proofs: orders, an order service, what happens at Stripe by itself, faults, waiting, closing."""
