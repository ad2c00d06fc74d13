"""The API port: what comes in over HTTP, in Stripe's order of layers, and what goes back, also broken by a fault."""
