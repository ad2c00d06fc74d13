"""Proofs: each is a plan and the question it answers (`fleet prove`)."""
