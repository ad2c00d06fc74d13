"""The words of the fleet: messages, money, verdicts and the queue table. Imports nothing of ours."""
