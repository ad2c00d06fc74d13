"""What happens to payments: the state table of intents, test methods, charges, balance."""
