"""How fast Stripe is asked: the limiter of a process, its own budget, and the budget all processes share in Valkey."""
