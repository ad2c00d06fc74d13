"""What the tests of Stripe's window share: a budget of each test's own."""

from tests.budgets import budget, budget_name, governor_of

__all__ = ["budget", "budget_name", "governor_of"]
