"""The balance, its transactions and the rules that they must obey (docs.stripe.com/api/balance_transactions)."""
