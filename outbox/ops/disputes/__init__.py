"""Disputes for operators: show, evidence, submit, close."""
