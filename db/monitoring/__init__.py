"""What metrics, health checks and charts read.

All of it is approximate and nothing is locked: no decision about money may rest on it.
"""
